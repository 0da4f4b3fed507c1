"""Private operators of torch that this project calls, all of them probed here.

They have no stability promise, so pyproject.toml bounds torch from above; whoever raises the bound
runs the tests of the engine and the trainer with the new version. Tested with torch 2.13.0
(constraints.txt). An operator that this torch lacks is ``None``; the functions below say whether
the ones that belong together exist and whether this machine runs them fast.
"""

from __future__ import annotations

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
# Packs an int8 weight, and multiplies it with uint8 rows in exact integer sums.
qlinear_prepack = _operator(torch.ops.onednn, "qlinear_prepack")
qlinear_pointwise = _operator(torch.ops.onednn, "qlinear_pointwise")
# The gradient of a softmax from its result, which saves a second softmax in training.
softmax_backward_data = _operator(torch, "_softmax_backward_data")

_is_mkldnn_bf16_supported = _operator(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")
_is_vnni_supported = _operator(torch.cpu, "_is_vnni_supported")
_is_avx512_bf16_supported = _operator(torch.cpu, "_is_avx512_bf16_supported")


def packs_bfloat16() -> bool:
    """Whether oneDNN is there and this machine computes in bf16."""
    needed = (reorder_linear_weight, linear_pointwise_binary, _is_mkldnn_bf16_supported)
    return None not in needed and bool(_is_mkldnn_bf16_supported())


def int8_is_exact() -> bool:
    """Whether this machine multiplies int8 without saturating (VNNI).

    Without such instructions pairs of products are added in 16 bits and may overflow.
    """
    needed = (weight_int8pack_mm, qlinear_prepack, qlinear_pointwise, _is_vnni_supported)
    return None not in needed and bool(_is_vnni_supported())


def has_bfloat16_instructions() -> bool:
    """Whether this machine has AVX-512 instructions for bf16."""
    return _is_avx512_bf16_supported is not None and bool(_is_avx512_bf16_supported())
