"""Linear layers with weights in int8 and a scale for each output: for few rows, and for many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from git_copilot.assistant.backend import torch_ops
from git_copilot.assistant.backend.torch_ops import largest_exact_digit

_MAX_WEIGHT = 127.0
_CACHED_WEIGHTS = 2**17
# For bf16, oneDNN keeps what it prepares for each number of rows, about a megabyte: rows are padded to
# a multiple of this.
ROW_STEP = 64


@dataclass(frozen=True, slots=True)
class Quantized:
    """A weight in int8 ``values`` (outputs, inputs) with a ``scale`` (outputs,) that bf16 holds."""

    values: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, weight: torch.Tensor) -> Quantized:
        """:param weight: (outputs, inputs), of any floating type."""
        values = torch.empty(weight.shape, dtype=torch.int8)
        scale = torch.empty(len(weight))
        for rows in _parts(weight):
            part = weight[rows].float()
            largest = torch.linalg.vector_norm(part, torch.inf, dim=1)
            scale[rows] = (largest / _MAX_WEIGHT).clamp_min_(1e-30).to(torch.bfloat16)
            # With a scale that was rounded down the largest value reaches 127.2.
            part = (part / scale[rows, None]).round_().clamp_(-_MAX_WEIGHT, _MAX_WEIGHT)
            values[rows] = part
        return cls(values, scale)

    def dequantized(self) -> torch.Tensor:
        """The rounded weight, float32."""
        return self.values.float().mul_(self.scale[:, None])


def _parts(weight: torch.Tensor) -> Iterator[slice]:
    """Rows of a weight in parts that stay in the processor's cache from one step to the next."""
    step = max(1, _CACHED_WEIGHTS // weight.shape[1])
    return (slice(begin, begin + step) for begin in range(0, len(weight), step))


class Int8Linear:
    """Weights in int8 with a scale per output, rows in bf16: for small layers, of which a token
    passes many.

    A row's result does not depend on the rows beside it, to the last bit (each is a loop of its
    own), so that a draft of several tokens is verified exactly as single tokens are computed.
    """

    def __init__(self, weight: Quantized, bias: torch.Tensor | None = None) -> None:
        """:param weight: of a shape that :func:`fits_int8`."""
        self._weight, self._scale = weight.values, weight.scale.to(torch.bfloat16)
        self._bias = None if bias is None else bias.to(torch.bfloat16)
        self.bytes = self._weight.numel()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch_ops.weight_int8pack_mm(
            rows.to(torch.bfloat16), self._weight, self._scale
        )
        return found if self._bias is None else found.add_(self._bias)


class DigitLinear:
    """Weights in int8 with a scale per output, rows as two integer digits with a scale per row:
    for large layers, and for any number of rows.

    FBGEMM sums products of digits as integers, so here too a row's result does not depend on its
    neighbours, and eight rows take hardly longer than one. One digit of 8 bits changed a twelfth
    of the predictions of a model of 135 M parameters; the second digit is one more row, which is
    nearly free while reading the weights is the cost. Together they have 15 bits with VNNI and 13
    without, where a digit has 7 bits so that sums are exact.
    """

    def __init__(self, weight: Quantized, bias: torch.Tensor | None = None) -> None:
        digit = largest_exact_digit()
        assert digit is not None
        self._digit, self._step, self._zero = digit, 1 / digit, digit + 1
        self._packed = torch_ops.pack_int8(weight.values, weight.scale)
        self._bias = None if bias is None else bias.float()
        self.bytes = weight.values.numel()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        count, digit = len(rows), self._digit
        largest = torch.linalg.vector_norm(rows, torch.inf, dim=-1, keepdim=True).float()
        largest = largest.clamp_min_(1e-30)
        both = torch.empty(2 * count, rows.shape[1])
        high, low = both[:count], both[count:]
        torch.div(rows, largest, out=high)
        # What the product's own quantisation will leave of a row, in steps 2 * digit times as fine.
        rounded = torch.fake_quantize_per_tensor_affine(high, self._step, 0, -digit, digit)
        torch.sub(high, rounded, out=low).mul_(2 * digit)
        found = torch_ops.linear_uint8(both, self._step, self._zero, self._packed)
        result = torch.add(found[:count], found[count:], alpha=1 / (2 * digit)).mul_(largest)
        return result if self._bias is None else result.add_(self._bias)


class Scratch:
    """Memory for one weight in a floating type, which all layers of a model use in turn."""

    def __init__(self) -> None:
        self._buffers: dict[torch.dtype, torch.Tensor] = {}

    def converted(self, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """``values`` in ``dtype``, until the next call."""
        buffer = self._buffers.get(dtype)
        if buffer is None or buffer.numel() < values.numel():
            buffer = self._buffers[dtype] = torch.empty(values.numel(), dtype=dtype)
        return buffer[: values.numel()].view(values.shape).copy_(values)


class DequantizedLinear:
    """Weights in int8 with a scale per output, converted to a floating type at each call: for many
    rows. Converting 106 M weights takes 12 ms on two cores; keeping them converted took 212 to
    336 MB."""

    def __init__(
        self, weight: Quantized, bias: torch.Tensor | None, dtype: torch.dtype, scratch: Scratch
    ) -> None:
        self._values, self._dtype, self._scratch = weight.values, dtype, scratch
        self._scale = weight.scale.to(dtype)
        self._bias = None if bias is None else bias.to(dtype)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        weight = self._scratch.converted(self._values, self._dtype)
        count = len(rows)
        if self._dtype == torch.bfloat16:
            rows = _padded(rows)
        # Scaling what comes out takes less time than scaling the weight, below 700 rows.
        found = functional.linear(rows.to(self._dtype), weight)[:count].mul_(self._scale)
        return found if self._bias is None else found.add_(self._bias)


def _padded(rows: torch.Tensor) -> torch.Tensor:
    """``rows`` in bf16 with more behind them, to a multiple of :data:`ROW_STEP`."""
    count = len(rows)
    found = torch.empty(-(-count // ROW_STEP) * ROW_STEP, rows.shape[1], dtype=torch.bfloat16)
    found[:count] = rows
    found[count:] = 0
    return found


def fits_int8(weight: torch.Tensor) -> bool:
    """Whether torch's kernel takes a weight of this shape: it checks none and reads beyond."""
    return weight.shape[0] % 16 == 0 and weight.shape[1] % 32 == 0
