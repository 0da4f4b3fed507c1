"""Layers run on optimised kernels, in every precision and on every instruction set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from git_copilot.assistant.backend import linear, torch_ops
from git_copilot.assistant.backend.arrangement import join_gate
from git_copilot.assistant.backend.int8_linear import DigitLinear, Quantized
from git_copilot.assistant.backend.linear import (
    MAX_FEW_ROWS,
    Fp16Linear,
    GatedLinear,
    make_gated,
    make_linear,
)
from git_copilot.assistant.backend.llama_weights import LinearWeights
from git_copilot.assistant.backend.torch_ops import (
    has_fbgemm,
    largest_exact_digit,
    linear_uint8,
    pack_int8,
)

needs_fbgemm = pytest.mark.skipif(not has_fbgemm(), reason="torch has no FBGEMM here")
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
}
RUN = """
import torch
from git_copilot.assistant.backend.linear import make_linear
for few in ("int8", "bf16", "fp32"):
    layer = make_linear(torch.randn(96, 64), None, few, torch.float32)
    for rows in (1, 2, 8, 40):
        layer(torch.randn(rows, 64))
"""
EXACT = """
import torch
from git_copilot.assistant.backend.torch_ops import largest_exact_digit
print(largest_exact_digit(), torch.backends.cpu.get_cpu_capability())
"""


def test_layers_never_run_on_reference_kernels():
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env={**os.environ, "ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    ran = [line for line in done.stdout.splitlines() if ",exec,cpu," in line]
    assert not [line for line in ran if ",ref" in line]


@needs_fbgemm
def test_digits_shrink_where_sums_would_overflow():
    done = subprocess.run(
        [sys.executable, "-c", EXACT],
        env={**os.environ, **AVX2},
        capture_output=True,
        text=True,
        check=True,
    )
    digit, capability = done.stdout.split()
    if capability == "AVX2":  # an older processor or another architecture ignores the limit
        assert digit == "63"
    assert largest_exact_digit() in (63, 127)


@needs_fbgemm
def test_products_of_the_largest_digits_are_exact():
    digit = largest_exact_digit()
    weight = torch.full((48, 1536), 127, dtype=torch.int8)
    weight[::2] = -127
    packed = pack_int8(weight, torch.ones(48))
    for sign in (1.0, -1.0):
        found = linear_uint8(torch.full((3, 1536), sign), 1 / digit, digit + 1, packed)
        assert torch.equal(found.round(), sign * weight.float().sum(1).expand(3, -1))


@needs_fbgemm
@torch.inference_mode()
def test_digits_are_as_exact_as_promised_behind_outliers():
    torch.manual_seed(0)
    weight = torch.randn(64, 576)
    quantized = Quantized.of(weight)
    layer, values = DigitLinear(quantized), quantized.dequantized().double()
    rows = torch.randn(4, 576)
    rows[0, 7], rows[1] = 3e4, 0.0
    wanted = rows.double() @ values.T
    step = 1 / (2 * largest_exact_digit() ** 2)
    # Half a step of the low digit for each input, which add up like a random walk.
    allowed = rows.abs().amax(1, keepdim=True) * step * values.norm(dim=1) * 2 + 1e-6
    assert ((layer(rows) - wanted).abs() <= allowed).all()
    assert not layer(rows)[1].any()


@needs_fbgemm
@torch.inference_mode()
def test_fp16_weights_are_computed_with_in_float32():
    torch.manual_seed(0)
    weight, bias = torch.randn(64, 576), torch.randn(64)
    weight[0, 0] = 1e6  # more than fp16 holds
    layer, rows = Fp16Linear(weight, bias), torch.randn(40, 576)
    kept = weight.clamp(-65504, 65504).half().double()
    wanted = rows.double() @ kept.T + bias
    assert ((layer(rows) - wanted).abs() / wanted.abs().amax(0)).max() < 1e-5


def gated_of(weight, few, many):
    part = LinearWeights(weight)
    if few != "int8":
        return make_gated(part, part, few)
    return GatedLinear(make_linear(join_gate(part, part).weight, None, few, many), None, None)


@torch.inference_mode()
def test_without_private_operators_layers_are_plain(monkeypatch):
    """As on a processor or a torch that has none of them."""
    monkeypatch.setattr(linear, "largest_exact_digit", lambda: None)
    monkeypatch.setattr(linear, "has_packed_bfloat16", lambda: False)
    monkeypatch.setattr(linear, "has_weight_only_int8", lambda: False)
    for name in ("linear_uint8", "linear_fp16", "weight_int8pack_mm", "linear_pointwise"):
        monkeypatch.setattr(torch_ops, name, None)
    torch.manual_seed(0)
    weight, rows = torch.randn(64, 96), torch.randn(MAX_FEW_ROWS + 1, 96)
    for few, many in (("int8", torch.float32), ("int8", None), ("bf16", None), ("fp32", None)):
        for count in (1, len(rows)):
            wanted = rows[:count] @ weight.T
            found = make_linear(weight, None, few, many)(rows[:count]).float()
            assert (found - wanted).abs().max() < 0.02 * wanted.abs().max()
            gated = gated_of(weight, few, many)(rows[:count]).float()
            assert gated.shape == (count, 64)
