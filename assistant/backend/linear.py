"""Linear layers for a CPU: unchanged, packed for bf16 or fp16, or in int8."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional

from git_copilot.assistant.backend import torch_ops
from git_copilot.assistant.backend.arrangement import join_gate
from git_copilot.assistant.backend.few_rows import NativeLinear
from git_copilot.assistant.backend.int8_linear import (
    DequantizedLinear,
    DigitLinear,
    Int8Linear,
    Quantized,
    Scratch,
    fits_int8,
)
from git_copilot.assistant.backend.llama_weights import LinearWeights
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
_FP16_LARGEST = 65504.0


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


class SplitLinear:
    """One layer in int8, computed in two ways: for few and for many rows."""

    def __init__(self, few: Linear, many: DequantizedLinear) -> None:
        self.few, self._many = few, many
        self.bytes = few.bytes

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.few(rows) if len(rows) <= MAX_FEW_ROWS else self._many(rows)


class GatedLinear:
    """silu(gate(rows)) * up(rows): the first half of a gated feed-forward network (SwiGLU)."""

    def __init__(
        self, joined: Linear | None, gate: PackedLinear | None, up: PackedLinear | None
    ) -> None:
        """:param joined: both layers in one; without it, ``gate`` and ``up``."""
        self.joined, self._gate, self._up = joined, gate, up
        self.bytes = sum(part.bytes for part in (joined, gate, up) if part is not None)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        if self.joined is None:
            assert self._gate is not None and self._up is not None
            rows = rows.to(torch.bfloat16)
            return self._up.times(rows, self._gate.silu(rows))
        gate, up = self.joined(rows).chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)


def make_linear(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    few: str,
    many: torch.dtype | None = None,
) -> Linear:
    """The layer in the format ``few``, see :class:`~git_copilot.assistant.backend.formats.Formats`.

    :param many: see :func:`make_int8_linear`.
    """
    if few != "int8":
        return _floating_linear(weight, bias, few)
    return make_int8_linear(Quantized.of(weight), bias, many)


def make_int8_linear(
    weight: Quantized,
    bias: torch.Tensor | None,
    many: torch.dtype | None = None,
    scratch: Scratch | None = None,
    native: bool = False,
) -> Linear:
    """The layer of a weight that is in int8 already.

    :param many: in which to compute for many rows; ``None``: as for few.
    :param scratch: for that.
    :param native: few rows in C, see few_rows.py.
    """
    large = LARGE_SINGLE_LAYER if many is None else LARGE_LAYER
    few = NativeLinear(weight, bias) if native else _int8_linear(weight, bias, large)
    if many is None:
        return few
    return SplitLinear(few, DequantizedLinear(weight, bias, many, scratch or Scratch()))


def make_gated(gate: LinearWeights, up: LinearWeights, few: str) -> GatedLinear:
    """The two layers of a :class:`GatedLinear` in a floating format."""
    if few == "bf16" and has_packed_bfloat16():
        return GatedLinear(
            None, PackedLinear(gate.weight, gate.bias), PackedLinear(up.weight, up.bias)
        )
    joined = join_gate(gate, up)
    return GatedLinear(make_linear(joined.weight, joined.bias, few), None, None)


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
