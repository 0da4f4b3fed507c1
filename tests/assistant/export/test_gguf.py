"""GGUF files are the merged model and its tokenizer, and the adapter alone gives the same model."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer

from git_copilot.assistant.export.gguf_model import TYPES, export_gguf, export_gguf_adapter
from git_copilot.assistant.export.gguf_tokenizer import pre_tokenizer
from git_copilot.assistant.export.merged import export_merged, load_merged
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError, ModelError
from tests.support.model_families import FAMILIES, save_family
from tests.support.tiny_models import CODE, adapter_of, save_tiny

ATOL = {"f32": 1e-4, "f16": 2e-2, "bf16": 0.15, "q8_0": 0.3}


def family(name):
    return next(each for each in FAMILIES if each.family == name)


@pytest.fixture(scope="module", params=["llama", "qwen2"], name="base")
def base_model(request, tmp_path_factory):
    parent = tmp_path_factory.mktemp("models")
    if request.param == "llama":
        return save_tiny(parent / "tiny", fim=True)
    return save_family(family("qwen2.5-coder"), parent)


@pytest.fixture(scope="module", name="adapter")
def changing_adapter(base, tmp_path_factory):
    return adapter_of(base, tmp_path_factory.mktemp("adapter"))


def logits(model, ids):
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0].float()


def values(reader, key):
    return reader.fields[key].contents()


@pytest.mark.parametrize("kind", TYPES)
def test_transformers_reads_it_back_as_the_merged_model(base, adapter, tmp_path, kind):
    export_gguf(base, adapter, tmp_path / "model.gguf", kind, "copilot-x")
    ids = TextTokenizer.load(base).encode(CODE)
    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf").eval()
    merged, plain = logits(load_merged(base, adapter), ids), logits(load_merged(base, None), ids)
    assert (merged - plain).abs().max() > 1
    torch.testing.assert_close(logits(back, ids), merged, atol=ATOL[kind], rtol=0.02)


def test_the_tokenizer_is_the_same(base, tmp_path):
    export_gguf(base, None, tmp_path / "model.gguf", "f16", "x")
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    ours = TextTokenizer.load(base)
    for text in (CODE, "x = 12345\n\n\tpass", "naïve → 日本", " " * 9 + "end"):
        assert theirs.encode(text, add_special_tokens=False) == ours.encode(text)
    reader = GGUFReader(tmp_path / "model.gguf")
    assert values(reader, "tokenizer.ggml.eos_token_id") == ours.end_id
    assert values(reader, "tokenizer.ggml.add_bos_token") == bool(ours.begin_ids)
    for key, name in (("pre", ours.fim.prefix), ("suf", ours.fim.suffix), ("mid", ours.fim.middle)):
        assert values(reader, f"tokenizer.ggml.fim_{key}_token_id") == ours.control(name)


def test_the_adapter_alone_adds_what_merging_adds(base, adapter, tmp_path):
    """As llama.cpp applies it: alpha / rank times the product of both factors."""
    export_gguf(base, None, tmp_path / "base.gguf", "f32", "x")
    export_gguf(base, adapter, tmp_path / "merged.gguf", "f32", "x")
    export_gguf_adapter(base, adapter, tmp_path / "lora.gguf", "x")
    lora = GGUFReader(tmp_path / "lora.gguf")
    assert values(lora, "general.type") == "adapter"
    assert values(lora, "adapter.type") == "lora"
    alpha = values(lora, "adapter.lora.alpha")
    factors = {t.name: t.data.astype(np.float32) for t in lora.tensors}
    before, after = (
        {t.name: t.data for t in GGUFReader(tmp_path / name).tensors}
        for name in ("base.gguf", "merged.gguf")
    )
    changed = 0
    for name, weight in before.items():
        if f"{name}.lora_a" in factors:
            down, up = factors[f"{name}.lora_a"], factors[f"{name}.lora_b"]
            weight = weight + alpha / len(down) * (up @ down)
            changed += 1
        np.testing.assert_allclose(after[name], weight, atol=5e-3, err_msg=name)
    assert changed == len(factors) / 2 == 14


def test_the_scale_is_that_of_peft(base, adapter, tmp_path):
    changed = tmp_path / "adapter"
    shutil.copytree(adapter, changed)
    config = changed / "adapter_config.json"
    facts = json.loads(config.read_text())

    def alpha(**more):
        config.write_text(json.dumps({**facts, **more}))
        export_gguf_adapter(base, changed, tmp_path / "lora.gguf", "x")
        return values(GGUFReader(tmp_path / "lora.gguf"), "adapter.lora.alpha")

    assert alpha() == facts["lora_alpha"]
    assert alpha(use_rslora=True) == facts["lora_alpha"] * facts["r"] ** 0.5
    for more in ({"alpha_pattern": {"q_proj": 3}}, {"use_dora": True}, {"bias": "all"}):
        with pytest.raises(CopilotError, match="has no place for"):
            alpha(**more)


def test_an_adapter_of_another_shape_is_refused(base, tmp_path):
    other = save_tiny(tmp_path / "other", layers=3)
    adapter = adapter_of(other, tmp_path / "adapter")
    with pytest.raises((CopilotError, ModelError)):
        export_gguf_adapter(base, adapter, tmp_path / "lora.gguf", "x")


def test_the_folder_of_transformers_is_the_merged_model(base, adapter, tmp_path):
    export_merged(base, adapter, tmp_path / "merged")
    ids = TextTokenizer.load(base).encode(CODE)
    back = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(logits(back, ids), logits(load_merged(base, adapter), ids))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.encode(CODE, add_special_tokens=False) == ids
    assert TextTokenizer.load(tmp_path / "merged").fim == TextTokenizer.load(base).fim


def test_other_architectures_and_tokenizers_are_told(base, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(base, other)
    facts = json.loads((other / "tokenizer.json").read_text())
    facts["pre_tokenizer"] = {"type": "Metaspace"}
    (other / "tokenizer.json").write_text(json.dumps(facts))
    with pytest.raises(CopilotError, match="Metaspace is not known here") as caught:
        export_gguf(other, None, tmp_path / "m.gguf", "f16", "x")
    assert "--to transformers" in str(caught.value.hint)
    starcoder = save_family(family("starcoder2"), tmp_path)
    with pytest.raises(CopilotError, match="starcoder2 are not written as GGUF"):
        export_gguf(starcoder, None, tmp_path / "m.gguf", "f16", "x")


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "gpt-2"),
        (
            {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Digits", "individual_digits": True},
                    {"type": "ByteLevel", "add_prefix_space": False},
                ],
            },
            "smollm",
        ),
    ],
)
def test_what_splits_text_is_named_as_llama_cpp_names_it(facts, name):
    assert pre_tokenizer(facts) == name


@pytest.mark.parametrize(
    "facts",
    [
        None,
        {"type": "ByteLevel", "add_prefix_space": True},
        {"type": "ByteLevel", "use_regex": False},
        {"type": "Digits", "individual_digits": True},
    ],
)
def test_no_name_is_guessed(facts):
    with pytest.raises(CopilotError):
        pre_tokenizer(facts)
