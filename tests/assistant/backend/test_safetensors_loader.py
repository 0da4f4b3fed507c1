"""Models loaded without transformers equal those that transformers and peft load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaConfig, LlamaWeights
from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.backend.precision import choose_formats
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.prompt.tokenizer import TextTokenizer, _read_plain
from git_copilot.index.core.errors import ModelError
from tests.support.model_families import FAMILIES, save_family
from tests.support.tiny_models import CODE, adapter_of, save_tiny

IDS = list(range(1, 41))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@pytest.fixture
def model_copy(folder, tmp_path):
    """A copy of the tiny model that the test may change."""
    return shutil.copytree(folder, tmp_path / "own")


@pytest.fixture(scope="module")
def adapter(folder, tmp_path_factory):
    return adapter_of(folder, tmp_path_factory.mktemp("adapter"))


def edit(path, **changes):
    """Change keys of a JSON file; a key whose value is ``...`` is removed."""
    facts = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in facts.items() if v is not ...}))


def logits(model, precision):
    weights = model if isinstance(model, LlamaWeights) else LlamaWeights.from_transformers(model)
    decoder = LlamaDecoder(weights, choose_formats(precision))
    return decoder.forward(decoder.new_cache(), IDS, len(IDS))


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_logits_equal_those_of_the_model_loaded_by_transformers(family, precision, tmp_path):
    saved = save_family(family, tmp_path)
    read = LlamaWeights.from_files(saved, DTYPES[precision])
    if family.config not in ("LlamaConfig", "Qwen2Config"):
        assert read is None
        return
    loaded = load_model(saved, dtype=DTYPES[precision])
    assert torch.equal(logits(read, precision), logits(loaded, precision))


@pytest.mark.parametrize("precision", DTYPES)
def test_an_adapter_is_merged_exactly_as_peft_does(folder, adapter, precision):
    dtype = DTYPES[precision]
    plain, read = (
        LlamaWeights.from_files(folder, dtype),
        LlamaWeights.from_files(folder, dtype, adapter),
    )
    merged = apply_adapter(load_model(folder, dtype=dtype), adapter)
    assert not torch.equal(logits(plain, precision), logits(read, precision))
    assert torch.equal(logits(read, precision), logits(merged, precision))


def test_configurations_of_older_transformers_versions_are_read(model_copy):
    expected = logits(LlamaWeights.from_files(model_copy, torch.float32), "fp32")
    edit(model_copy / "config.json", rope_parameters=..., rope_theta=10000.0, rope_scaling=None)
    assert torch.equal(logits(LlamaWeights.from_files(model_copy, torch.float32), "fp32"), expected)
    edit(model_copy / "config.json", rope_theta=500.0)
    assert not torch.equal(
        logits(LlamaWeights.from_files(model_copy, torch.float32), "fp32"), expected
    )


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "mistral"},
        {"hidden_act": "gelu"},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
        {"rope_parameters": ..., "rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_parameters": ...},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
        {"partial_rotary_factor": 0.5},
        {"layer_types": ["full_attention", "sliding_attention"]},
        {"use_sliding_window": True},
        {"quantization_config": {"quant_method": "gptq"}},
        {"auto_map": {"AutoModelForCausalLM": "code.Model"}},
        {"num_key_value_heads": ...},
        {"num_hidden_layers": 1},
        {"tie_word_embeddings": False},
        {"head_dim": 16},
    ],
    ids=str,
)  # fmt: skip
def test_an_unusual_model_is_left_to_transformers(model_copy, change):
    assert LlamaWeights.from_files(model_copy, torch.float32) is not None
    edit(model_copy / "config.json", **change)
    assert LlamaWeights.from_files(model_copy, torch.float32) is None


def test_a_model_that_the_decoder_does_not_support_is_not_loaded_for_it(model_copy, monkeypatch):
    monkeypatch.setattr(LlamaConfig, "supported", False)
    assert LlamaWeights.from_files(model_copy, torch.float32) is None


@pytest.mark.parametrize(
    "change",
    [
        {"use_dora": True},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 2}},
        {"modules_to_save": ["embed_tokens"]},
        {"bias": "all"},
        {"init_lora_weights": "pissa"},
        {"peft_type": "IA3"},
        {"r": 8},
        {"r": ...},
        {"what_is_to_come": 1},
    ],
    ids=str,
)
def test_an_unusual_adapter_is_left_to_peft(folder, adapter, tmp_path, change):
    changed = shutil.copytree(adapter, tmp_path / "changed")
    assert LlamaWeights.from_files(folder, torch.float32, changed) is not None
    edit(changed / "adapter_config.json", **change)
    assert LlamaWeights.from_files(folder, torch.float32, changed) is None


def test_an_adapter_with_other_layers_or_half_a_layer_is_left_to_peft(folder, adapter, tmp_path):
    changed = shutil.copytree(adapter, tmp_path / "changed")
    path = changed / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "lora_A" in name)
    half = {k: v for k, v in tensors.items() if k != name}
    other = {k.replace("layers.1.", "layers.7."): v for k, v in tensors.items()}
    wide = {k: torch.cat([v, v], dim=1) if k == name else v for k, v in tensors.items()}
    for each in (half, other, wide, {**tensors, "extra": tensors[name]}):
        save_file({k: v.clone() for k, v in each.items()}, path)
        assert LlamaWeights.from_files(folder, torch.float32, changed) is None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_a_damaged_model_gives_the_error_of_transformers(model_copy, name, damage):
    path = model_copy / name
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(data[: len(data) // 2] if damage == "truncated" else b"")
    assert LlamaWeights.from_files(model_copy, torch.float32) is None
    with pytest.raises(ModelError, match="cannot be loaded"):
        Engine.load(model_copy)


def test_a_truncated_adapter_gives_the_error_of_peft(folder, adapter, tmp_path):
    changed = shutil.copytree(adapter, tmp_path / "changed")
    path = changed / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="adapter changed cannot be loaded"):
        Engine.load(folder, changed)


def test_a_plain_tokenizer_encodes_exactly_as_transformers_does(folder):
    read, loaded = (
        TextTokenizer(_read_plain(folder)),
        TextTokenizer(AutoTokenizer.from_pretrained(folder)),
    )
    for text in (CODE, " x", "é, ☺ <|endoftext|>\n\t", ""):
        assert read.encode(text) == loaded.encode(text)
        assert read.decode(read.encode(text)) == text
    assert (read.end_ids, read.begin_ids, read.fim) == (
        loaded.end_ids,
        loaded.begin_ids,
        loaded.fim,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer_class": "LlamaTokenizer"},
        {"tokenizer_class": ...},
        {"add_bos_token": True},
        {"additional_special_tokens": ["<new>"]},
        {"eos_token": "<no token>"},
        {"eos_token": {"content": "<|endoftext|>"}},
    ],
    ids=str,
)
def test_an_unusual_tokenizer_is_left_to_transformers(model_copy, change):
    assert _read_plain(model_copy) is not None
    edit(model_copy / "tokenizer_config.json", **change)
    assert _read_plain(model_copy) is None


def test_a_damaged_tokenizer_gives_the_error_of_transformers(model_copy):
    path = model_copy / "tokenizer.json"
    path.write_text(path.read_text()[:500])
    assert _read_plain(model_copy) is None
    with pytest.raises(ModelError, match="tokenizer"):
        TextTokenizer.load(model_copy)


def test_an_adapted_model_completes_without_importing_transformers_or_peft(folder, adapter):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from git_copilot.assistant.decoding.engine import Engine\n"
        "from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling\n"
        "engine = Engine.load(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "request = GenerationRequest(engine.tokenizer.encode('def area('), Sampling(8))\n"
        "text = engine.generate(request).text\n"
        "heavy = sorted({'transformers', 'peft', 'scipy', 'torch._dynamo'} & set(sys.modules))\n"
        "print(repr((text, heavy)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, folder, adapter],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    engine = Engine.load(folder, adapter)
    text = engine.generate(
        GenerationRequest(engine.tokenizer.encode("def area("), Sampling(8))
    ).text
    assert done.stdout.strip() == repr((text, []))


def test_replacing_model_files_does_not_change_a_running_model(model_copy):
    """A pull that renames new files into place must not change what runs."""
    engine = Engine.load(model_copy)
    prompt = engine.tokenizer.encode("def area(")
    before = engine.generate(GenerationRequest(prompt, Sampling(8))).text
    other = save_tiny(model_copy.parent / "other", fim=True, seed=9)
    (other / "model.safetensors").replace(model_copy / "model.safetensors")
    engine.slots.drop(engine.slots.take(prompt))
    assert engine.generate(GenerationRequest(prompt, Sampling(8))).text == before
    assert Engine.load(model_copy).generate(GenerationRequest(prompt, Sampling(8))).text != before
