"""Private operators of torch that this project calls, all of them probed here.

They have no stability promise, so pyproject.toml bounds torch from above; whoever raises the bound
runs the tests of the engine and the trainer with the new version. Tested with torch 2.13.0
(constraints.txt). An operator that this torch lacks is ``None``; the functions below say whether
the ones that belong together exist and whether this machine runs them.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def _operator(namespace: Any, name: str) -> Any:
    """An operator, or ``None`` where this torch has none of that name."""
    return getattr(namespace, name, None)


# Lays out a bf16 weight once as oneDNN's kernels read it; functional.linear does so at each call.
reorder_linear_weight = _operator(torch.ops.mkldnn, "_reorder_linear_weight")
# A linear layer on such a weight, with an activation or a product fused into it.
linear_pointwise = _operator(torch.ops.mkldnn, "_linear_pointwise")
linear_pointwise_binary = _operator(linear_pointwise, "binary")
# Rows in bf16 times weights in int8 with a scale per output. Checks no shapes.
weight_int8pack_mm = _operator(torch, "_weight_int8pack_mm")
# FBGEMM: rows in float32, quantised to uint8 with a given scale and zero point, times int8
# weights, summed as integers, back to float32.
linear_uint8 = _operator(torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32")
# FBGEMM: rows in float32 times weights that are stored in fp16.
linear_fp16 = _operator(torch.ops.quantized, "linear_dynamic_fp16")
# The gradient of a softmax from its result, which saves a second softmax in training.
softmax_backward_data = _operator(torch, "_softmax_backward_data")

_linear_prepack = _operator(torch.ops.quantized, "linear_prepack")
_linear_prepack_fp16 = _operator(torch.ops.quantized, "linear_prepack_fp16")
_per_channel_tensor = _operator(torch, "_make_per_channel_quantized_tensor")
_is_mkldnn_bf16_supported = _operator(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")


def has_packed_bfloat16() -> bool:
    """Whether oneDNN is there and this machine computes in bf16."""
    needed = (reorder_linear_weight, linear_pointwise_binary, _is_mkldnn_bf16_supported)
    return None not in needed and bool(_is_mkldnn_bf16_supported())


def has_weight_only_int8() -> bool:
    """Whether this torch multiplies rows in bf16 with weights in int8."""
    return weight_int8pack_mm is not None


def has_fbgemm() -> bool:
    """Whether this torch has FBGEMM, which x86 builds have."""
    needed = (linear_uint8, linear_fp16, _linear_prepack, _linear_prepack_fp16, _per_channel_tensor)
    return None not in needed and "fbgemm" in torch.backends.quantized.supported_engines


@contextmanager
def _fbgemm() -> Iterator[None]:
    """Pack for FBGEMM; the engine is a global setting of torch, which is put back."""
    quantized: Any = torch.backends.quantized
    before = quantized.engine
    quantized.engine = "fbgemm"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a future version will move these operators
            yield
    finally:
        quantized.engine = before


def pack_int8(weight: torch.Tensor, scale: torch.Tensor) -> Any:
    """Pack for :data:`linear_uint8`.

    :param weight: int8 (outputs, inputs).
    :param scale: (outputs,).
    """
    with _fbgemm():
        zero = torch.zeros(len(scale), dtype=torch.int64)
        return _linear_prepack(_per_channel_tensor(weight, scale.double(), zero, 0), None)


def pack_fp16(weight: torch.Tensor, bias: torch.Tensor | None) -> Any:
    """Pack for :data:`linear_fp16`.

    :param weight: float32 (outputs, inputs); values beyond what fp16 holds become the largest.
    """
    with _fbgemm():
        return _linear_prepack_fp16(weight, bias)


@functools.cache
def largest_exact_digit() -> int | None:
    """The largest d for which digits from -d to d are multiplied exactly with int8 weights: 127
    with VNNI, 63 without; ``None`` where there is no FBGEMM.

    Without VNNI two products are added in 16 bits, which saturate: 2 * 255 * 127 does not fit, 2 *
    127 * 127 does. Tried out rather than read from the processor's flags, since a library may be
    limited to fewer instructions than the processor has.
    """
    if not has_fbgemm():
        return None
    packed = pack_int8(torch.full((32, 64), 127, dtype=torch.int8), torch.ones(32))
    for digit in (127, 63):
        rows = torch.ones(2, 64)
        found = linear_uint8(rows, 1 / digit, digit + 1, packed)
        if torch.equal(found.round(), torch.full((2, 32), 64.0 * 127)):
            return digit
    return None
