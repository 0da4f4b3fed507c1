"""``adapter export`` on the command line."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import CopilotError
from tests.support.initialised_repo import initialise_repository
from tests.support.tiny_adapters import add_adapter
from tests.support.tiny_models import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True)


@pytest.fixture
def project(repo, tiny):
    repo.commit({"app.py": "x = 1\n"})
    return initialise_repository(repo, tiny)


def export(project, *argv):
    out = io.StringIO()
    service = Service()
    try:
        with contextlib.chdir(project.path):
            terminal = Terminal(project.path, lambda: b"", out, io.StringIO())
            assert dispatch(["adapter", "export", *argv], terminal, service) == 0
    finally:
        service.close()
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("transformers", {"config.json", "model.safetensors", "tokenizer.json"}),
        ("peft", {"adapter_config.json", "adapter_model.safetensors"}),
        ("vllm", {"adapter_config.json", "adapter_model.safetensors"}),
        ("sglang", {"adapter_config.json", "adapter_model.safetensors"}),
        ("ollama", {"Modelfile", "model.gguf"}),
        ("gguf", None),
        ("gguf-lora", None),
    ],
)
def test_every_format_is_written(project, tiny, tmp_path, form, files):
    head = project.git("rev-parse", "HEAD")
    adapter = add_adapter(project, tiny, 10, head)
    target = tmp_path / "out"
    said = json.loads(export(project, "--to", form, "--out", str(target), "--json"))
    assert (said["adapter"], said["format"], said["path"]) == (adapter, form, str(target))
    if files is None:
        assert target.read_bytes()[:4] == b"GGUF"
    else:
        assert files <= {p.name for p in target.iterdir()}
    if form in ("vllm", "sglang"):
        assert f" {adapter}={target}" in said["command"]
    with pytest.raises(CopilotError, match="is there already"):
        export(project, "--to", form, "--out", str(target))
    printed = export(project, adapter, "--to", form, "--out", str(target), "--force")
    assert printed.startswith(f"wrote {target}\n")


def test_the_base_model_alone(project, tmp_path):
    said = json.loads(export(project, "--to", "gguf", "--out", str(tmp_path / "m.gguf"), "--json"))
    assert said["adapter"] is None
    for form in ("peft", "vllm", "sglang", "gguf-lora"):
        with pytest.raises(CopilotError, match="none is chosen"):
            export(project, "none", "--to", form, "--out", str(tmp_path / "x"))


def test_a_damaged_adapter_leaves_nothing(project, tiny, tmp_path):
    adapter = add_adapter(project, tiny, 10, project.git("rev-parse", "HEAD"))
    folder = adapter_store.adapter_path(project.git_dir / "copilot", adapter)
    (folder / adapter_store.WEIGHTS).write_bytes(b"")
    with pytest.raises(CopilotError, match=f"{adapter} is damaged"):
        export(project, adapter, "--to", "transformers", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
