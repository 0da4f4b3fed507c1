"""Our forward pass equals that of transformers; int8 is exact where that is promised."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPTBigCodeConfig,
    LlamaConfig,
    Qwen2Config,
    Starcoder2Config,
)

from git_copilot.assistant.backend.int8_linear import (
    DigitLinear,
    Int8Linear,
    Quantized,
    fits_int8,
)
from git_copilot.assistant.backend.kv_cache import GROWTH, KVCache
from git_copilot.assistant.backend.linear import MAX_FEW_ROWS, make_linear
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaWeights, supports
from git_copilot.assistant.backend.precision import choose_formats
from git_copilot.assistant.backend.torch_ops import has_fbgemm, has_weight_only_int8

needs_int8 = pytest.mark.skipif(not has_weight_only_int8(), reason="torch has no int8 kernels here")
needs_fbgemm = pytest.mark.skipif(not has_fbgemm(), reason="torch has no FBGEMM here")

SIZES = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}

OURS = {
    "llama": LlamaConfig(**SIZES),
    "llama, every head its keys": LlamaConfig(**{**SIZES, "num_key_value_heads": 6}),
    "llama, one key head": LlamaConfig(**{**SIZES, "num_key_value_heads": 1}),
    "llama, tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama, wide heads": LlamaConfig(**SIZES, head_dim=20),
    "llama, biases": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "llama, rope linear": LlamaConfig(**SIZES, rope_parameters=LINEAR),
    "llama, rope llama3": LlamaConfig(**SIZES, rope_parameters=LLAMA3),
    "llama, rope yarn": LlamaConfig(**SIZES, rope_parameters=YARN),
    "qwen2": Qwen2Config(**SIZES),
    "qwen2, tied": Qwen2Config(**SIZES, tie_word_embeddings=True),
}
NOT_OURS = {
    "starcoder2": Starcoder2Config(**SIZES),
    "santacoder": GPTBigCodeConfig(vocab_size=97, n_embd=48, n_layer=2, n_head=4),
    "llama, another activation": LlamaConfig(**SIZES, hidden_act="gelu"),
    "llama, rope that grows": LlamaConfig(**SIZES, rope_parameters=DYNAMIC),
    "qwen2, sliding": Qwen2Config(**SIZES, use_sliding_window=True, max_window_layers=1),
}


def make(config, dtype=torch.float32):
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    for name, tensor in model.named_parameters():
        if "norm" in name or "bias" in name:  # else ones and zeros, which prove little
            tensor.data += 0.1 * torch.randn_like(tensor)
    return model


def tokens(count, vocabulary=97):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(1, vocabulary, (count,), generator=generator).tolist()


@pytest.mark.parametrize("config", OURS.values(), ids=OURS)
@torch.inference_mode()
def test_the_forward_pass_equals_that_of_transformers(config):
    model = make(config)
    assert supports(model)
    ids = tokens(150)
    wanted = model(torch.tensor([ids])).logits[0]
    decoder = LlamaDecoder(LlamaWeights.from_transformers(model), choose_formats("fp32"))
    cache = decoder.new_cache()
    # One row, few and many rows, with and without what was read before.
    parts = (64, 1, 1, 5, MAX_FEW_ROWS, 40, 31)
    assert sum(parts) == len(ids)
    found, start = [], 0
    for part in parts:
        found.append(decoder.forward(cache, ids[start : start + part], part))
        start += part
    torch.testing.assert_close(torch.cat(found), wanted, rtol=1e-4, atol=2e-4)
    assert torch.equal(torch.cat(found).argmax(-1), wanted.argmax(-1))


@pytest.mark.parametrize("config", NOT_OURS.values(), ids=NOT_OURS)
def test_unsupported_architectures_are_left_to_transformers(config):
    assert not supports(make(config))


@pytest.mark.parametrize(
    "precision",
    [
        "fp32",
        "bf16",
        pytest.param("fp16", marks=needs_fbgemm),
        pytest.param("int8", marks=needs_int8),
    ],
)
@torch.inference_mode()
def test_a_forward_of_several_tokens_equals_forwards_of_one(precision):
    decoder = LlamaDecoder(
        LlamaWeights.from_transformers(make(OURS["llama"], torch.bfloat16)),
        choose_formats(precision),
    )
    ids = tokens(220)
    for start in range(60, 200, 10):
        single, joint = decoder.new_cache(), decoder.new_cache()
        for cache in (single, joint):
            decoder.forward(cache, ids[:start], 1)
        chosen = ids[start : start + MAX_FEW_ROWS]
        one = torch.cat([decoder.forward(single, [i], 1) for i in chosen])
        several = decoder.forward(joint, chosen, MAX_FEW_ROWS)
        if precision == "int8":
            assert torch.equal(one, several)
        else:  # oneDNN and MKL may round products of several rows otherwise
            close = 0.02 if precision == "bf16" else 1e-5
            torch.testing.assert_close(one, several, rtol=close, atol=close * 5)


KINDS = {
    "rows": pytest.param(Int8Linear, marks=needs_int8),
    "digits": pytest.param(DigitLinear, marks=needs_fbgemm),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@torch.inference_mode()
def test_an_int8_row_does_not_depend_on_the_other_rows(kind):
    torch.manual_seed(0)
    for outputs, inputs in ((16, 32), (144, 96), (64, 704)):
        layer = kind(Quantized.of(torch.randn(outputs, inputs)), torch.randn(outputs))
        rows = torch.randn(MAX_FEW_ROWS, inputs) * torch.logspace(-3, 3, MAX_FEW_ROWS)[:, None]
        one_by_one = torch.cat([layer(row[None]) for row in rows])
        for count in range(2, MAX_FEW_ROWS + 1):
            assert torch.equal(layer(rows[:count]), one_by_one[:count])


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@torch.inference_mode()
def test_int8_equals_the_product_with_rounded_weights(kind):
    exact = 0.01 if kind is Int8Linear else 1e-3
    torch.manual_seed(0)
    weight, bias = torch.randn(144, 704), torch.randn(144)
    values = Quantized.of(weight).dequantized()
    assert (values - weight).abs().max() < 0.51 * weight.abs().max() / 127 * 1.01
    layer = kind(Quantized.of(weight), bias)
    rows = torch.randn(5, 704)
    rows[2, 3] = 200.0  # an outlier takes the other values' digits
    wanted = rows.double() @ values.double().T + bias
    largest = wanted.abs().amax(1, keepdim=True)
    assert ((layer(rows) - wanted).abs() / largest).max() < exact
    assert (layer(torch.zeros(1, 704)) - bias).abs().max() < 0.01 * bias.abs().max()
    many = torch.randn(MAX_FEW_ROWS + 1, 704)
    wanted = many.double() @ values.double().T + bias
    assert (layer(many) - wanted).abs().max() < 0.02 * wanted.abs().max()


@needs_int8
def test_shapes_that_the_int8_kernel_does_not_validate_are_not_passed_to_it():
    for outputs, inputs in ((97, 64), (64, 33), (130, 70)):
        weight = torch.randn(outputs, inputs)
        assert not fits_int8(weight)
        layer = make_linear(weight, None, "int8", torch.float32)
        assert layer(torch.randn(2, inputs)).shape == (2, outputs)


@needs_int8
@torch.inference_mode()
def test_int8_logits_are_close_to_full_precision():
    config = Qwen2Config(**{**SIZES, "hidden_size": 96, "intermediate_size": 160, "vocab_size": 96})
    model = make(config, torch.bfloat16)
    ids = tokens(100, 96)
    plain, small = (
        LlamaDecoder(LlamaWeights.from_transformers(model), choose_formats("fp32")),
        LlamaDecoder(LlamaWeights.from_transformers(model), choose_formats("int8")),
    )
    wanted = torch.log_softmax(plain.forward(plain.new_cache(), ids, len(ids)), -1)
    cache = small.new_cache()
    parts = [small.forward(cache, ids[i : i + 4], 4) for i in range(0, len(ids), 4)]
    found = torch.log_softmax(torch.cat(parts), -1)
    assert (wanted.exp() * (wanted - found)).sum(-1).mean() < 0.02


@torch.inference_mode()
def test_a_cache_keeps_its_content_when_it_grows_is_cropped_or_copied():
    decoder = LlamaDecoder(
        LlamaWeights.from_transformers(make(OURS["llama"])), choose_formats("fp32")
    )
    ids = tokens(GROWTH + 40)
    whole = decoder.new_cache()
    wanted = decoder.forward(whole, ids, 1)
    grown = decoder.new_cache()
    decoder.forward(grown, ids[: GROWTH - 3], 1)
    assert grown.capacity == GROWTH
    other = grown.copy(GROWTH // 2)
    decoder.forward(grown, tokens(9), 1)  # something else, taken back
    assert grown.capacity == 2 * GROWTH
    grown.crop(GROWTH - 3)
    for cache, length in ((grown, GROWTH - 3), (other, GROWTH // 2)):
        assert cache.length == length
        found = decoder.forward(cache, ids[length:], 1)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert isinstance(other, KVCache)
    numbers = 3 * 2 * 8 * 2 * GROWTH  # layers, heads, size
    assert 2 * 4 * numbers <= grown.bytes < 2.2 * 4 * numbers  # keys with padding, values
