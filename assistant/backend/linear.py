"""Linear layers for a CPU: unchanged, packed for bf16 or fp16, or in int8 with exact integer sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from git_copilot.assistant.backend import torch_ops
from git_copilot.assistant.backend.torch_ops import (
    has_packed_bfloat16,
    has_weight_only_int8,
    largest_exact_digit,
)

# Up to this many rows are few: their time is that of reading the weights. More (the prompt) have
# kernels of their own.
MAX_FEW_ROWS = 8
# From this many weights on, the digits of a row cost little beside its product.
LARGE_LAYER = 2**22
# The same where one layer serves any number of rows.
LARGE_SINGLE_LAYER = 2**20
# The number of rows that packed weights are laid out for; others work too.
_PACKED_FOR = 256
_MAX_WEIGHT = 127.0
_CACHED_WEIGHTS = 2**17
_FP16_LARGEST = 65504.0


class Linear(Protocol):
    """Maps rows (n, inputs) to rows (n, outputs), in a floating type of its own."""

    def __call__(self, rows: torch.Tensor) -> torch.Tensor: ...

    @property
    def bytes(self) -> int: ...


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

    def dequantized(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The rounded weight."""
        found = torch.empty(self.values.shape, dtype=dtype)
        for rows in _parts(found):
            found[rows] = self.values[rows].float().mul_(self.scale[rows, None])
        return found


def _parts(weight: torch.Tensor) -> Iterator[slice]:
    """Rows of a weight in parts that stay in the processor's cache from one step to the next."""
    step = max(1, _CACHED_WEIGHTS // weight.shape[1])
    return (slice(begin, begin + step) for begin in range(0, len(weight), step))


class PlainLinear:
    """A layer in the dtype of its weight."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """:param weight: (outputs, inputs)."""
        self._weight = weight
        self._bias = None if bias is None else bias.to(weight.dtype)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return functional.linear(rows.to(self._weight.dtype), self._weight, self._bias)

    @property
    def bytes(self) -> int:
        return int(self._weight.nbytes)


class PackedLinear:
    """A layer in bf16 whose weight is laid out once as oneDNN's kernels read it.

    torch packs a weight again at each call: a quarter of the time at 256 rows, half of it at 64.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """:param weight: (outputs, inputs), of any floating type."""
        self.bytes = weight.numel() * 2
        self._bias = None if bias is None else bias.to(torch.bfloat16)
        self._weight = torch_ops.reorder_linear_weight(
            weight.to(torch.bfloat16).contiguous(), _PACKED_FOR
        )

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self._run(rows, "none")

    def silu(self, rows: torch.Tensor) -> torch.Tensor:
        """SiLU of the layer's output, in one step."""
        return self._run(rows, "swish")

    def times(self, rows: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """The layer times ``factor`` (n, outputs), in bf16, in one step."""
        found: torch.Tensor = torch_ops.linear_pointwise_binary(
            rows.to(torch.bfloat16), factor, self._weight, self._bias, "mul"
        )
        return found

    def _run(self, rows: torch.Tensor, activation: str) -> torch.Tensor:
        found: torch.Tensor = torch_ops.linear_pointwise(
            rows.to(torch.bfloat16), self._weight, self._bias, activation, [], ""
        )
        return found


class Fp16Linear:
    """A layer whose weight is stored in fp16 and computed with in float32, by FBGEMM: on a
    processor without bf16 as fast as float32 for many rows, at half the memory."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """:param weight: (outputs, inputs), of any floating type."""
        self.bytes = weight.numel() * 2
        fits = weight.float().clamp(-_FP16_LARGEST, _FP16_LARGEST)
        self._packed = torch_ops.pack_fp16(fits, None if bias is None else bias.float())

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch_ops.linear_fp16(rows.float(), self._packed)
        return found


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


class SplitLinear:
    """One layer in two forms, for few and for many rows."""

    def __init__(self, few: Linear, many: Linear) -> None:
        self._few, self._many = few, many
        self.bytes = few.bytes + many.bytes

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self._few(rows) if len(rows) <= MAX_FEW_ROWS else self._many(rows)


class GatedLinear:
    """silu(gate(rows)) * up(rows): the first half of a gated feed-forward network (SwiGLU)."""

    def __init__(
        self, joined: Linear | None, gate: PackedLinear | None, up: PackedLinear | None
    ) -> None:
        """:param joined: both layers in one, for few rows; for any number without the others.
        :param gate: with ``up``, for many rows; for any number without ``joined``."""
        self._joined, self._gate, self._up = joined, gate, up
        self.bytes = sum(part.bytes for part in (joined, gate, up) if part is not None)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        few = len(rows) <= MAX_FEW_ROWS
        if self._joined is None or not (few or self._gate is None):
            assert self._gate is not None and self._up is not None
            rows = rows.to(torch.bfloat16)
            return self._up.times(rows, self._gate.silu(rows))
        gate, up = self._joined(rows).chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)


def make_linear(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    few: str,
    many: str | None = None,
) -> Linear:
    """The layer in the formats ``few`` and ``many``, see
    :class:`~git_copilot.assistant.backend.precision.Formats`.

    :param many: ``None``: only one form is kept, for any number of rows.
    """
    if few != "int8":
        return _floating_linear(weight, bias, few)
    quantized = Quantized.of(weight)
    if many is None:
        return _int8_linear(quantized, bias, LARGE_SINGLE_LAYER)
    # The same rounded weights, else a prompt would be read by another model than decodes.
    half = torch.bfloat16 if many == "bf16" else torch.float32
    wide = _floating_linear(quantized.dequantized(half), bias, many)
    return SplitLinear(_int8_linear(quantized, bias, LARGE_LAYER), wide)


def make_gated(
    gate: tuple[torch.Tensor, torch.Tensor | None],
    up: tuple[torch.Tensor, torch.Tensor | None],
    few: str,
    many: str | None = None,
) -> GatedLinear:
    """The same for the two layers of a :class:`GatedLinear`, each (weight, bias)."""
    weight = torch.cat([gate[0], up[0]])
    bias = None if gate[1] is None or up[1] is None else torch.cat([gate[1], up[1]])
    if not (has_packed_bfloat16() and "bf16" in (few, many)):
        return GatedLinear(make_linear(weight, bias, few, many), None, None)
    if few != "int8":
        return GatedLinear(None, PackedLinear(*gate), PackedLinear(*up))
    quantized = Quantized.of(weight)
    halves = quantized.dequantized(torch.bfloat16).chunk(2)
    parts = (PackedLinear(half, part[1]) for half, part in zip(halves, (gate, up), strict=True))
    return GatedLinear(_int8_linear(quantized, bias, LARGE_LAYER), *parts)


def _floating_linear(weight: torch.Tensor, bias: torch.Tensor | None, name: str) -> Linear:
    if name == "fp32":
        return PlainLinear(weight.float(), bias)
    if name == "fp16":
        return Fp16Linear(weight, bias)
    if has_packed_bfloat16():
        return PackedLinear(weight, bias)
    return PlainLinear(weight.to(torch.bfloat16), bias)


def _int8_linear(weight: Quantized, bias: torch.Tensor | None, large: int) -> Linear:
    """:param large: from how many weights on as :class:`DigitLinear`."""
    digits = largest_exact_digit() is not None
    rows = has_weight_only_int8() and fits_int8(weight.values)
    if rows and not (digits and weight.values.numel() >= large):
        return Int8Linear(weight, bias)
    if digits:
        return DigitLinear(weight, bias)
    return PlainLinear(weight.dequantized(), bias)  # an odd shape, and no FBGEMM


def fits_int8(weight: torch.Tensor) -> bool:
    """Whether torch's kernel takes a weight of this shape: it checks none and reads beyond."""
    return weight.shape[0] % 16 == 0 and weight.shape[1] % 32 == 0
