"""Adapters of other repositories as controls."""

from __future__ import annotations

import json
import subprocess

import pytest
import torch
from safetensors.torch import save_file

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.evaluation.controls import find_control, find_controls
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository

MODEL = "some-model"


def write_adapter(folder, model=MODEL):
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "base_model_name_or_path": model}
    (folder / adapter_store.CONFIG).write_text(json.dumps(config))
    save_file({"a": torch.zeros(2)}, folder / adapter_store.WEIGHTS)


def other_repository(path, *, used=True, model=MODEL):
    subprocess.run(["git", "init", "-q", path], check=True)
    state = GitRepository.discover(path).state_dir
    trust_repository(state)
    name = adapter_store.new_id()
    adapter_store.create(state, name, write_adapter, {"base_model": model})
    if used:
        adapter_store.use(state, name)
    return state / adapter_store.FOLDER / name


def test_the_adapter_in_use_of_another_repository(tmp_path):
    folder = other_repository(tmp_path / "other")
    control = find_control(tmp_path / "other", MODEL)
    assert (control.name, control.folder) == ("other", folder)


def test_an_adapter_in_a_folder(tmp_path):
    write_adapter(tmp_path / "generic")
    control = find_control(tmp_path / "generic", MODEL)
    assert (control.name, control.folder) == ("generic", tmp_path / "generic")


def test_equal_names_become_paths(tmp_path):
    write_adapter(tmp_path / "a/same")
    write_adapter(tmp_path / "b/same")
    paths = [tmp_path / "a/same", tmp_path / "b/same"]
    assert [c.name for c in find_controls(paths, MODEL)] == [str(path) for path in paths]


def test_what_cannot_be_a_control_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    subprocess.run(["git", "init", "-q", tmp_path / "unknown"], check=True)
    other_repository(tmp_path / "unused", used=False)
    other_repository(tmp_path / "other model", model="another")
    write_adapter(tmp_path / "foreign", "another")
    write_adapter(tmp_path / "short")
    weights = tmp_path / "short" / adapter_store.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4])
    for name, said in {
        "empty": "neither an adapter nor a repository",
        "unknown": "not set up",
        "unused": "no adapter is in use",
        "other model": "trained for another, not for some-model",
        "foreign": "trained for another, not for some-model",
        "short": "cut short",
    }.items():
        with pytest.raises(CopilotError, match=said):
            find_control(tmp_path / name, MODEL)
