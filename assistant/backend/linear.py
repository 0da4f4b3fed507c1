"""Linear layers for a CPU: unchanged, packed for bf16, or in int8 with exact integer sums."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional

from git_copilot.assistant.backend import torch_ops
from git_copilot.assistant.backend.torch_ops import packs_bfloat16

# Up to this many rows use int8 weights; more (the prompt) the same weights in bf16, whose kernels
# are made for many rows.
MAX_INT8_ROWS = 8
# From this many weights on, a layer's time is spent on reading them rather than on the call.
LARGE_LAYER = 2**20
# The number of rows that packed weights are laid out for; others work too.
_PACKED_FOR = 256
_MAX_DIGIT = 127.0
_SHIFT = 128  # makes a signed digit unsigned
_LOW_DIGIT = 254.0  # a low digit counts 1/254 of a high one


class Linear(Protocol):
    """Maps rows (n, inputs) to rows (n, outputs), in a floating type of its own."""

    def __call__(self, rows: torch.Tensor) -> torch.Tensor: ...

    @property
    def bytes(self) -> int: ...


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


class Int8Linear:
    """Weights in int8 with a scale per output, rows in bf16: for small layers, of which a token
    passes many.

    A row's result does not depend on the rows beside it, to the last bit (each is a loop of its
    own), so that a draft of several tokens is verified exactly as single tokens are computed. A
    call has 2 µs of overhead, where oneDNN's has 20, and a token makes 120 calls in 30 layers.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None = None, *, keep_bf16: bool = True
    ) -> None:
        """:param weight: (outputs, inputs), of any floating type; see :func:`fits_int8`.
        :param keep_bf16: also keep the rounded weights in bf16, for more than
            :data:`MAX_INT8_ROWS` rows.
        """
        scale = _scale(weight)
        self._weight, self._scale = _quantized(weight, scale), scale.to(torch.bfloat16)
        self._bias = None if bias is None else bias.to(torch.bfloat16)
        self._bf16 = bfloat16_linear(dequantized(weight), bias) if keep_bf16 else None
        self.bytes = weight.numel() + (self._bf16.bytes if self._bf16 else 0)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        if self._bf16 is not None and len(rows) > MAX_INT8_ROWS:
            return self._bf16(rows)
        found: torch.Tensor = torch_ops.weight_int8pack_mm(
            rows.to(torch.bfloat16), self._weight, self._scale
        )
        return found if self._bias is None else found.add_(self._bias)


class DigitLinear:
    """Weights in int8 with a scale per output, rows as two int8 digits with a scale per row, 15
    bits together: for large layers.

    Products of digits are summed as integers, so here too a row's result does not depend on its
    neighbours, and eight rows take hardly longer than one. Inputs of 8 bits alone changed a twelfth
    of the predictions of a model of 135 M parameters; the second digit is one more row, which is
    nearly free while reading the weights is the cost.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """:param weight: (outputs, inputs), of any floating type."""
        self._scale = _scale(weight)
        self._packed = torch_ops.qlinear_prepack(_quantized(weight, self._scale), None)
        self._zero = torch.zeros(len(weight), dtype=torch.int64)
        self._least = torch.full((1, 1), 1e-30)
        self._bias = None if bias is None else bias.float()
        self.bytes = weight.numel()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.float()
        largest = rows.abs().amax(dim=-1, keepdim=True)
        scale = torch.add(self._least, largest, alpha=1 / _MAX_DIGIT)
        low = rows / scale
        high = low.round()
        low.sub_(high).mul_(_LOW_DIGIT)
        # Signed digits have a kernel only where the machine has AMX; elsewhere oneDNN falls back to
        # its reference loop, 200 times as slow. Unsigned (shifted) digits have one everywhere.
        digits = torch.cat([high, low]).add_(_SHIFT).to(torch.uint8)
        found = torch_ops.qlinear_pointwise(
            digits, 1.0, _SHIFT, self._packed, self._scale,
            self._zero, None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        high, low = found.chunk(2)
        result = torch.add(high, low, alpha=1 / _LOW_DIGIT).mul_(scale)
        return result if self._bias is None else result.add_(self._bias)


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
        narrow = len(rows) <= MAX_INT8_ROWS
        if self._joined is None or not (narrow or self._gate is None):
            assert self._gate is not None and self._up is not None
            rows = rows.to(torch.bfloat16)
            return self._up.times(rows, self._gate.silu(rows))
        gate, up = self._joined(rows).chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)


def make_linear(
    weight: torch.Tensor, bias: torch.Tensor | None, precision: str, *, keep_bf16: bool
) -> Linear:
    """The layer in ``"int8"``, ``"bf16"`` or ``"fp32"``; ``wide`` as for :class:`Int8Linear`."""
    if precision == "fp32":
        return PlainLinear(weight.float(), bias)
    if precision == "bf16":
        return bfloat16_linear(weight, bias)
    if weight.numel() >= LARGE_LAYER or not fits_int8(weight):
        return DigitLinear(weight, bias)
    return Int8Linear(weight, bias, keep_bf16=keep_bf16)


def make_gated(
    gate: tuple[torch.Tensor, torch.Tensor | None],
    up: tuple[torch.Tensor, torch.Tensor | None],
    precision: str,
    *,
    keep_bf16: bool,
) -> GatedLinear:
    """The same for the two layers of a :class:`GatedLinear`, each (weight, bias)."""
    weight = torch.cat([gate[0], up[0]])
    bias = None if gate[1] is None or up[1] is None else torch.cat([gate[1], up[1]])
    packs = packs_bfloat16() and (precision == "bf16" or (precision == "int8" and keep_bf16))
    if not packs:
        return GatedLinear(make_linear(weight, bias, precision, keep_bf16=keep_bf16), None, None)
    if precision == "bf16":
        return GatedLinear(None, PackedLinear(*gate), PackedLinear(*up))
    parts = (PackedLinear(dequantized(part[0]), part[1]) for part in (gate, up))
    return GatedLinear(make_linear(weight, bias, precision, keep_bf16=False), *parts)


def bfloat16_linear(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
    """The layer in bf16, packed where this machine supports it."""
    if packs_bfloat16():
        return PackedLinear(weight, bias)
    return PlainLinear(weight.to(torch.bfloat16), bias)


def dequantized(weight: torch.Tensor) -> torch.Tensor:
    """The weight (outputs, inputs) quantised to int8 and back, in float32."""
    scale = _scale(weight)
    return _quantized(weight, scale).float() * scale[:, None]


def _scale(weight: torch.Tensor) -> torch.Tensor:
    """The scales (outputs,) of a weight, rounded to what bf16 holds."""
    scale = (weight.float().abs().amax(dim=1) / _MAX_DIGIT).clamp_min(1e-30)
    return scale.to(torch.bfloat16).float()


def _quantized(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    # With a scale that was rounded down the largest value reaches 127.2.
    return (weight.float() / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8)


def fits_int8(weight: torch.Tensor) -> bool:
    """Whether torch's kernel takes a weight of this shape: it checks none and reads beyond."""
    return weight.shape[0] % 16 == 0 and weight.shape[1] % 32 == 0
