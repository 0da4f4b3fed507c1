"""Linear layers for a CPU: as they are, packed for bf16, or in int8 with exact integer sums."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional

# So many rows are matched with int8 weights; more (the prompt) with the same weights in bf16, whose
# kernels are made for many.
NARROW = 8
# Weights from which a layer's time is its reading rather than the call.
LARGE = 2**20
# The number of rows that packed weights are laid out for; others work too.
_PACKED_FOR = 256
_DIGIT = 127.0
_SHIFT = 128  # makes a signed digit an unsigned one
_LOW = 254.0  # low digits count in 1/254 of a high one


class Linear(Protocol):
    """Maps rows (n, inputs) to rows (n, outputs), in a floating type of its own choice."""

    def __call__(self, rows: torch.Tensor) -> torch.Tensor: ...

    @property
    def bytes(self) -> int: ...


class PlainLinear:
    """A layer in the type of its weight."""

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
    """A layer in bf16 whose weight lies as oneDNN's kernels read it.

    torch packs a weight anew at each call: a quarter of the time at 256 rows, half of it at 64.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """:param weight: (outputs, inputs), of any floating type."""
        self.bytes = weight.numel() * 2
        self._bias = None if bias is None else bias.to(torch.bfloat16)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(
            weight.to(torch.bfloat16).contiguous(), _PACKED_FOR
        )

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self._run(rows, "none")

    def silu(self, rows: torch.Tensor) -> torch.Tensor:
        """The layer and SiLU behind it in one step."""
        return self._run(rows, "swish")

    def times(self, rows: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """The layer times ``factor`` (n, outputs), in bf16, in one step."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            rows.to(torch.bfloat16), factor, self._weight, self._bias, "mul"
        )
        return found

    def _run(self, rows: torch.Tensor, then: str) -> torch.Tensor:
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            rows.to(torch.bfloat16), self._weight, self._bias, then, [], ""
        )
        return found


class Int8Linear:
    """Weights in int8 with a scale for each output, rows in bf16: for layers of which a token
    passes many.

    A row's result is the same to the last bit whatever rows stand beside it (each is a loop of its
    own), so that a guess of several tokens is judged as tokens one by one are. A call costs 2 µs
    besides the work, where oneDNN's cost 20, and a token of 30 layers makes 120 of them.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None = None, *, wide: bool = True
    ) -> None:
        """:param weight: (outputs, inputs), of any floating type; see :func:`fits_int8`.
        :param wide: keep the rounded weights in bf16 as well, for more than :data:`NARROW` rows.
        """
        scale = _scale(weight)
        self._weight, self._scale = _whole(weight, scale), scale.to(torch.bfloat16)
        self._bias = None if bias is None else bias.to(torch.bfloat16)
        self._wide = bfloat16_linear(dequantized(weight), bias) if wide else None
        self.bytes = weight.numel() + (self._wide.bytes if self._wide else 0)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        if self._wide is not None and len(rows) > NARROW:
            return self._wide(rows)
        found = torch._weight_int8pack_mm(rows.to(torch.bfloat16), self._weight, self._scale)
        return found if self._bias is None else found.add_(self._bias)


class DigitLinear:
    """Weights in int8 with a scale for each output, rows as two int8 digits with a scale for each
    row, 15 bits together: for large layers.

    Products of digits are summed in whole numbers, so here too a row's result does not depend on
    its neighbours, and eight rows take hardly longer than one. Inputs of 8 bits alone cost a model
    of 135 M parameters a twelfth of its predictions; the second digit is one more row, which costs
    next to nothing while weights have to be read anyway.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """:param weight: (outputs, inputs), of any floating type."""
        self._scale = _scale(weight)
        self._packed = torch.ops.onednn.qlinear_prepack(_whole(weight, self._scale), None)
        self._zero = torch.zeros(len(weight), dtype=torch.int64)
        self._least = torch.full((1, 1), 1e-30)
        self._bias = None if bias is None else bias.float()
        self.bytes = weight.numel()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.float()
        largest = rows.abs().amax(dim=-1, keepdim=True)
        scale = torch.add(self._least, largest, alpha=1 / _DIGIT)
        low = rows / scale
        high = low.round()
        low.sub_(high).mul_(_LOW)
        # Signed digits have a kernel only where the machine has AMX; elsewhere oneDNN would take its
        # reference loop, 200 times as long. Shifted to be unsigned they have one everywhere.
        digits = torch.cat([high, low]).add_(_SHIFT).to(torch.uint8)
        found = torch.ops.onednn.qlinear_pointwise(
            digits, 1.0, _SHIFT, self._packed, self._scale,
            self._zero, None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        high, low = found.chunk(2)
        result = torch.add(high, low, alpha=1 / _LOW).mul_(scale)
        return result if self._bias is None else result.add_(self._bias)


class GatedLinear:
    """silu(gate(rows)) * up(rows): the first half of a feed-forward network with a gate."""

    def __init__(
        self, joined: Linear | None, gate: PackedLinear | None, up: PackedLinear | None
    ) -> None:
        """:param joined: both layers in one, for few rows; for all where the others are missing.
        :param gate: with ``up``, for many rows; for all where ``joined`` is missing."""
        self._joined, self._gate, self._up = joined, gate, up
        self.bytes = sum(part.bytes for part in (joined, gate, up) if part is not None)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        narrow = len(rows) <= NARROW
        if self._joined is None or not (narrow or self._gate is None):
            assert self._gate is not None and self._up is not None
            rows = rows.to(torch.bfloat16)
            return self._up.times(rows, self._gate.silu(rows))
        gate, up = self._joined(rows).chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)


def make_linear(
    weight: torch.Tensor, bias: torch.Tensor | None, precision: str, *, wide: bool
) -> Linear:
    """The layer in ``"int8"``, ``"bf16"`` or ``"fp32"``; ``wide`` as for :class:`Int8Linear`."""
    if precision == "fp32":
        return PlainLinear(weight.float(), bias)
    if precision == "bf16":
        return bfloat16_linear(weight, bias)
    if weight.numel() >= LARGE or not fits_int8(weight):
        return DigitLinear(weight, bias)
    return Int8Linear(weight, bias, wide=wide)


def make_gated(
    gate: tuple[torch.Tensor, torch.Tensor | None],
    up: tuple[torch.Tensor, torch.Tensor | None],
    precision: str,
    *,
    wide: bool,
) -> GatedLinear:
    """The same for a :class:`GatedLinear` pair of (weight, bias)."""
    weight = torch.cat([gate[0], up[0]])
    bias = None if gate[1] is None or up[1] is None else torch.cat([gate[1], up[1]])
    packs = packs_bfloat16() and (precision == "bf16" or (precision == "int8" and wide))
    if not packs:
        return GatedLinear(make_linear(weight, bias, precision, wide=wide), None, None)
    if precision == "bf16":
        return GatedLinear(None, PackedLinear(*gate), PackedLinear(*up))
    parts = (PackedLinear(dequantized(part[0]), part[1]) for part in (gate, up))
    return GatedLinear(make_linear(weight, bias, precision, wide=False), *parts)


def bfloat16_linear(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
    """The layer in bf16, packed where this machine can."""
    if packs_bfloat16():
        return PackedLinear(weight, bias)
    return PlainLinear(weight.to(torch.bfloat16), bias)


def dequantized(weight: torch.Tensor) -> torch.Tensor:
    """The weight (outputs, inputs) with the values that int8 leaves of it, in float32."""
    scale = _scale(weight)
    return _whole(weight, scale).float() * scale[:, None]


def _scale(weight: torch.Tensor) -> torch.Tensor:
    """What the largest weight of each output is divided by, as bf16 holds it."""
    scale = (weight.float().abs().amax(dim=1) / _DIGIT).clamp_min(1e-30)
    return scale.to(torch.bfloat16).float()


def _whole(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    # A scale that was rounded down lets the largest reach 127.2.
    return (weight.float() / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8)


def fits_int8(weight: torch.Tensor) -> bool:
    """Whether torch's kernel takes a weight of this shape: it checks nothing and reads on."""
    return weight.shape[0] % 16 == 0 and weight.shape[1] % 32 == 0


def packs_bfloat16() -> bool:
    """Whether oneDNN is there and this machine computes in bf16."""
    return hasattr(torch.ops.mkldnn, "_linear_pointwise") and bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def int8_is_exact() -> bool:
    """Whether this machine multiplies int8 without saturating (VNNI).

    Without such instructions pairs of products are added in 16 bits and may overflow.
    """
    return bool(torch.cpu._is_vnni_supported()) and hasattr(torch.ops.onednn, "qlinear_pointwise")
