"""Commands and files for vLLM, SGLang and Ollama."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.export.engines import (
    Served,
    export_peft,
    largest_rank,
    modelfile,
    sglang_command,
    vllm_command,
)
from git_copilot.assistant.prompt.fim import FORMATS
from tests.support.tiny_models import CODE, adapter_of, save_tiny

SERVED = Served("copilot-1", Path("/srv/my adapters/1"), "org/model", 24)


def test_a_folder_of_peft_names_the_base_model(tmp_path):
    base = save_tiny(tmp_path / "base")
    adapter = adapter_of(base, tmp_path / "adapter")
    (adapter / "evidence.json").write_text("{}")
    assert export_peft(adapter, tmp_path / "out", "org/model") == 4
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    fresh = load_model(base, dtype=torch.float32)
    loaded = PeftModel.from_pretrained(fresh, str(tmp_path / "out"))
    assert loaded.peft_config["default"].base_model_name_or_path == "org/model"
    ids = torch.tensor([[ord(c) % 300 for c in CODE]])
    merged = apply_adapter(load_model(base, dtype=torch.float32), adapter)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(ids).logits, merged(ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("rank", "limit"), [(1, 8), (8, 8), (9, 16), (24, 32), (512, 512), (900, 900)]
)
def test_the_rank_that_vllm_has_kernels_for(rank, limit):
    assert largest_rank(rank) == limit


def test_commands_survive_a_shell():
    words = shlex.split(vllm_command(SERVED))
    assert words[:3] == ["vllm", "serve", "org/model"]
    assert words[words.index("--max-lora-rank") + 1] == "32"
    assert words[-1] == "copilot-1=/srv/my adapters/1"
    words = shlex.split(sglang_command(SERVED))
    assert words[words.index("--model-path") + 1] == "org/model"
    assert words[words.index("--lora-paths") + 1] == "copilot-1=/srv/my adapters/1"


def test_a_modelfile_has_the_order_of_the_family():
    formats = {each.family: each for each in FORMATS}
    ours = modelfile("model.gguf", formats["git-copilot"])
    assert ours.startswith("FROM ./model.gguf\n")
    assert "<|copilot_suffix|>{{ .Suffix }}<|copilot_prefix|>{{ .Prompt }}{{ else }}" in ours
    qwen = modelfile("model.gguf", formats["qwen2.5-coder"])
    assert "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ else }}" in qwen
    assert 'PARAMETER stop "<|endoftext|>"' in qwen
    assert qwen.count('PARAMETER stop "<|file_sep|>"') == 1
    assert "Suffix" not in modelfile("model.gguf", None)
