"""The layers in C give what torch's operators give, and a row nothing of its neighbours."""

from __future__ import annotations

import sys
from dataclasses import fields, replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from git_copilot.assistant.backend import few_rows
from git_copilot.assistant.backend.few_rows import NativeLinear
from git_copilot.assistant.backend.formats import Formats
from git_copilot.assistant.backend.int8_linear import Quantized
from git_copilot.assistant.backend.linear import make_linear
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LinearWeights, LlamaWeights

compiled = pytest.mark.skipif(few_rows.level() is None, reason="few_rows.c was not compiled")
LEVELS = range((few_rows.level() or 0) + 1)
INT8 = Formats("int8", "fp32")


def made(size: int, heads: int, groups: int, family: str = "llama"):
    """A model with random weights of usual sizes."""
    kind, config = {
        "llama": (LlamaForCausalLM, LlamaConfig),
        "qwen2": (Qwen2ForCausalLM, Qwen2Config),
    }[family]
    torch.manual_seed(3)
    model = kind(
        config(
            vocab_size=160, hidden_size=96, intermediate_size=224, num_hidden_layers=3,
            num_attention_heads=heads, num_key_value_heads=groups, head_dim=size,
            initializer_range=0.2,
        )
    )  # fmt: skip
    for layer in model.model.layers:
        for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            if linear.bias is not None:
                torch.nn.init.normal_(linear.bias)
    return LlamaWeights.from_transformers(model.eval())


def limit(monkeypatch, level: int) -> None:
    """Use these instructions."""
    found = few_rows._library()
    assert found is not None
    monkeypatch.setattr(few_rows, "_library", lambda: (found[0], level))


def decoder(weights, monkeypatch, level: int) -> LlamaDecoder:
    limit(monkeypatch, level)
    made = LlamaDecoder(weights, INT8)
    assert made._native is not None
    return made


def rounded(linear: LinearWeights) -> LinearWeights:
    return LinearWeights(Quantized.of(linear.weight).dequantized(), linear.bias)


def as_rounded(weights: LlamaWeights) -> LlamaWeights:
    """The weights that are multiplied, in float32."""
    layers = []
    for layer in weights.layers:
        linears = {
            each.name: rounded(value)
            for each in fields(layer)
            if isinstance(value := getattr(layer, each.name), LinearWeights)
        }
        layers.append(replace(layer, **linears))
    return replace(weights, layers=tuple(layers), head=rounded(weights.head))


SHAPES = [(16, 6, 2, "llama"), (32, 3, 3, "llama"), (48, 4, 1, "llama"), (64, 7, 1, "qwen2")]


@compiled
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_logits_are_those_of_the_rounded_weights(shape, level, monkeypatch):
    weights = made(*shape)
    ids = torch.randint(160, (150,)).tolist()
    exact = LlamaDecoder(as_rounded(weights), Formats("fp32", "fp32"))
    found = []
    for model in (decoder(weights, monkeypatch, level), exact):
        cache = model.new_cache()
        for first in range(0, 100, 50):  # read in two parts, then the rest in few rows
            model.read(cache, ids[first : first + 50], lambda: False)
        few = [model.forward(cache, ids[100 + i : 108 + i], 8) for i in range(0, 48, 8)]
        found.append(torch.cat(few))
    assert (found[0] - found[1]).abs().max() < 0.005 * found[1].abs().max()


@compiled
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_a_row_does_not_depend_on_the_rows_beside_it(shape, level, monkeypatch):
    model = decoder(made(*shape), monkeypatch, level)
    ids = torch.randint(160, (140,)).tolist()
    together, alone = model.new_cache(), model.new_cache()
    for cache in (together, alone):
        model.read(cache, ids[:123], lambda: False)
    # Over the end of a tile of scores, and of the cache's room.
    for first, count in ((123, 7), (130, 3), (133, 2), (135, 5)):
        part = ids[first : first + count]
        one_by_one = [model.forward(alone, [token], 1) for token in part]
        assert torch.equal(model.forward(together, part, count), torch.cat(one_by_one))


@compiled
@pytest.mark.parametrize("level", LEVELS)
@torch.inference_mode()
def test_branches_do_not_see_one_another(level, monkeypatch):
    model = decoder(made(16, 6, 2), monkeypatch, level)
    ids = torch.randint(160, (40,)).tolist()
    cache = model.new_cache()
    model.read(cache, ids, lambda: False)
    inf = -torch.inf
    model.forward_batch(cache, [5, 9], [40, 40], torch.tensor([[0.0, inf], [inf, 0.0]]))
    mask = torch.tensor([[0.0, inf, 0.0, inf], [inf, 0.0, inf, 0.0]])
    found = model.forward_batch(cache, [7, 8], [41, 41], mask)
    for row, tokens in enumerate(([5, 7], [9, 8])):
        single = model.new_cache()
        model.read(single, ids, lambda: False)
        wanted = model.forward(single, tokens, 1)[0]
        torch.testing.assert_close(found[row], wanted, rtol=1e-3, atol=1e-3)


@compiled
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("outputs", "inputs"), [(16, 32), (7, 33), (64, 1024), (30, 2080), (5, 1)])
@torch.inference_mode()
def test_products_are_exact_to_fourteen_bits(outputs, inputs, level, monkeypatch):
    limit(monkeypatch, level)
    quantized = Quantized.of(torch.randn(outputs, inputs))
    layer = NativeLinear(quantized, torch.randn(outputs))
    rows = torch.randn(6, inputs) * torch.tensor([1.0, 1e-12, 1e12, 0.0, 3.0, -1.0])[:, None]
    wanted = rows.double() @ quantized.dequantized().double().t()
    # Half a unit of each input, times the weights that it meets.
    error = rows.abs().amax(1, keepdim=True) / 16383 / 2 * quantized.dequantized().abs().sum(1)
    got = layer(rows).double() - layer._bias.double()
    rounding = 1e-6 * (wanted.abs() + layer._bias.abs() + rows.abs().sum(1, keepdim=True))
    assert ((got - wanted).abs() <= 1.01 * error + rounding).all()


@compiled
@pytest.mark.parametrize("level", LEVELS)
def test_the_largest_values_do_not_overflow(level, monkeypatch):
    limit(monkeypatch, level)
    quantized = Quantized.of(torch.full((8, 4096), -1.0))
    rows = torch.full((3, 4096), 2.5)
    wanted = rows @ quantized.dequantized().t()
    torch.testing.assert_close(NativeLinear(quantized)(rows), wanted, rtol=1e-4, atol=0)


@pytest.mark.parametrize("value", ["absent", "0"])
def test_without_the_extension_torch_computes(value, monkeypatch):
    few_rows._library.cache_clear()
    if value == "0":
        monkeypatch.setenv("GIT_COPILOT_NATIVE", "0")
    else:
        monkeypatch.setitem(sys.modules, "git_copilot.assistant.backend._few_rows", None)
    try:
        assert few_rows.level() is None
        assert not few_rows.fits(64, 1000)
        model = LlamaDecoder(made(16, 6, 2), INT8)
        assert model._native is None
        with torch.inference_mode():
            assert model.forward(model.new_cache(), [3, 4, 5], 2).isfinite().all()
        with pytest.raises(RuntimeError, match="not compiled"):
            NativeLinear(Quantized.of(torch.ones(16, 32)))
    finally:
        few_rows._library.cache_clear()


@compiled
def test_a_model_too_large_for_one_core_is_left_to_torch(monkeypatch):
    monkeypatch.setattr(few_rows, "LARGEST_MODEL", 1000)
    model = LlamaDecoder(made(16, 6, 2), INT8)
    assert model._native is None
    layer = make_linear(torch.randn(32, 32), None, "int8", torch.float32)
    assert not isinstance(layer.few, NativeLinear)
