"""Weights in int8 are kept beside a model of git-copilot's own folder, and mapped the next time."""

from __future__ import annotations

import os
import shutil

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from git_copilot.assistant.backend import arrangement
from git_copilot.assistant.backend.arrangement import NAME
from git_copilot.assistant.backend.formats import Formats
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaWeights

IDS = list(range(1, 30))
SIZES = {"vocab_size": 160, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
FAMILIES = {"llama": (LlamaForCausalLM, LlamaConfig), "qwen2": (Qwen2ForCausalLM, Qwen2Config)}


def save(folder, seed=1, family="llama"):
    torch.manual_seed(seed)
    kind, config = FAMILIES[family]
    model = kind(config(**SIZES)).bfloat16()
    for name, value in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(value)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(params=FAMILIES)
def model(request, tmp_path):
    return save(tmp_path / "cache" / "models" / "own", family=request.param)


def logits(folder, cache):
    weights = LlamaWeights.from_files(folder)
    assert weights is not None
    decoder = LlamaDecoder(weights, Formats("int8", "fp32"), cache)
    with torch.inference_mode():
        cache = decoder.new_cache()
        return torch.cat([decoder.forward(cache, IDS[:20], 3), decoder.forward(cache, IDS[20:], 9)])


@pytest.fixture
def computed(monkeypatch):
    """How often weights were rounded."""
    calls = []
    original = arrangement._computed
    monkeypatch.setattr(arrangement, "_computed", lambda w: calls.append(1) or original(w))
    return calls


def test_the_second_time_the_file_is_read(model, tmp_path, computed):
    cache = tmp_path / "cache"
    wanted = logits(model, None)
    assert not (model / NAME).exists()
    for _ in range(3):
        assert torch.equal(logits(model, cache), wanted)
    assert len(computed) == 2  # without a cache, and the first time with one
    assert [p.name for p in model.iterdir() if p.name.startswith(".")] == []


def test_nothing_is_written_beside_a_model_elsewhere(model, tmp_path, computed):
    mine = shutil.copytree(model, tmp_path / "mine")
    logits(mine, tmp_path / "cache")
    logits(mine, tmp_path / "cache")
    assert not (mine / NAME).exists() and len(computed) == 2


@pytest.mark.parametrize("length", [0, 7, 200, 5000])
def test_a_truncated_file_is_written_again(length, model, tmp_path, computed):
    cache = tmp_path / "cache"
    wanted = logits(model, cache)
    os.truncate(model / NAME, length)
    assert torch.equal(logits(model, cache), wanted)
    assert torch.equal(logits(model, cache), wanted)
    assert len(computed) == 2


def test_the_file_of_other_weights_is_not_used(tmp_path, computed):
    cache = tmp_path / "cache"
    model, other = save(cache / "a"), save(cache / "b", seed=2)
    logits(model, cache)
    wanted = logits(other, None)
    shutil.copy(other / "model.safetensors", model / "model.safetensors")
    assert torch.equal(logits(model, cache), wanted)
    assert len(computed) == 3


def test_a_full_disk_is_no_problem(model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    wanted = logits(model, None)
    monkeypatch.setattr(arrangement.Path, "replace", full)
    assert torch.equal(logits(model, tmp_path / "cache"), wanted)
    assert {p.name for p in model.iterdir()} >= {"model.safetensors"}
    assert not [p for p in model.iterdir() if NAME in p.name]
