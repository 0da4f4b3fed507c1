"""QLoRA: the base in four bits while an adapter is trained, which is then used as any other."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from git_copilot.assistant.backend import quantisation
from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.backend.quantisation import trains_in_four_bits
from git_copilot.assistant.training.trainer import train_adapter
from git_copilot.index.core.errors import ModelError
from tests.support.training_fixtures import (  # noqa: F401 - fixtures
    RECIPE,
    run,
    tiny_examples,
    tiny_folder,
)

pytest.importorskip("bitsandbytes")


def in_four_bits(folder):
    return load_model(folder, dtype=torch.float32, four_bit=True)


def test_the_base_is_in_four_bits_and_the_adapter_is_not(folder, examples, tmp_path):
    model = in_four_bits(folder)
    layer = model.model.layers[0].mlp.up_proj
    assert type(layer).__name__ == "Linear4bit" and layer.weight.dtype == torch.uint8
    found = []
    report = train_adapter(
        model, examples, RECIPE, model_name="tiny", work=tmp_path,
        on_loss=lambda step, loss: found.append(loss),
    )  # fmt: skip
    assert report.steps == report.planned_steps
    assert sum(found[-3:]) < sum(found[:3])
    weights = {p.dtype for name, p in model.named_parameters() if "lora_" in name}
    assert weights == {torch.float32}


def test_its_adapter_is_merged_into_the_whole_model(folder, examples, tmp_path):
    train_adapter(in_four_bits(folder), examples, RECIPE, model_name="tiny", work=tmp_path)
    base = load_model(folder, dtype=torch.float32)
    merged = apply_adapter(load_model(folder, dtype=torch.float32), tmp_path / "candidate")
    ids = torch.tensor([list(examples[0].prompt_ids + examples[0].middle_ids)])
    with torch.no_grad():
        before, after = (model(ids, labels=ids).loss.item() for model in (base, merged))
    assert after < before
    assert merged.model.layers[0].mlp.up_proj.weight.dtype == torch.float32


def test_it_learns_about_what_sixteen_bits_learn(folder, examples, tmp_path):
    def last(train):
        found = []
        train(lambda step, loss: found.append(loss))
        return sum(found[-3:]) / 3

    plain = last(lambda on_loss: run(folder, examples, tmp_path / "a", on_loss=on_loss))
    small = last(
        lambda on_loss: train_adapter(
            in_four_bits(folder), examples, RECIPE, model_name="tiny", work=tmp_path / "b",
            on_loss=on_loss,
        )
    )  # fmt: skip
    assert small == pytest.approx(plain, rel=0.1)


def test_by_itself_only_where_the_weights_would_fill_the_gpu(folder, monkeypatch):
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    memory = {"total": 8 * size}
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(total_memory=memory["total"]),
    )
    assert not trains_in_four_bits("auto", folder, "cuda")
    memory["total"] = 2 * size
    assert trains_in_four_bits("auto", folder, "cuda")
    assert not trains_in_four_bits("auto", folder, "cpu")
    assert not trains_in_four_bits("off", folder, "cuda")
    assert trains_in_four_bits("on", folder, "cpu")


def test_without_bitsandbytes_it_is_off_and_asking_for_it_is_told(folder, monkeypatch):
    monkeypatch.setattr(quantisation.importlib.util, "find_spec", lambda name: None)
    assert not trains_in_four_bits("auto", folder, "cpu")
    with pytest.raises(ModelError, match="bitsandbytes is not installed"):
        trains_in_four_bits("on", folder, "cuda")


def test_nothing_is_said_of_kernels_that_a_cpu_lacks(folder, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from git_copilot.assistant.backend.loading import load_model\n"
        "import peft\n"
        "load_model(Path(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
    )
    assert "kernels" not in done.stderr
