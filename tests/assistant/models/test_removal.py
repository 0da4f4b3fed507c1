"""Models take room on disk once, and go when asked to."""

from __future__ import annotations

import shutil

import pytest

from git_copilot.assistant.decoding.copy_weights import NAME
from git_copilot.assistant.models import catalogue, pull, removal, seed_adapter_files
from git_copilot.assistant.models.wheel_download import downloads
from git_copilot.index.core.errors import CopilotError, ModelError
from git_copilot.index.core.files import file_lock
from tests.support.tiny_models import SPARE, adapter_of, save_tiny


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A catalogue with a model and the base that it is built from."""
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    base, seed_adapter = save_tiny(tmp_path / "base", specials=SPARE), tmp_path / "adapter"
    adapter_of(base, seed_adapter)
    (seed_adapter / NAME).write_text("{}")
    specs = (
        catalogue.ModelSpec("toy", "completion", "MIT", 1, 1, "", derived="toy-base"),
        catalogue.ModelSpec("toy-base", "completion", "MIT", 1, 1, "", hub="toy/base"),
        catalogue.ModelSpec("part", "embedder", "MIT", 1, 1, "", bundled="index/seed_embedder"),
    )
    for module in (catalogue, removal):
        monkeypatch.setattr(module, "SPECS", specs)
    monkeypatch.setattr(seed_adapter_files, "adapter_folder", lambda: seed_adapter)
    fetched = []

    def from_hub(spec, made, _):
        fetched.append(spec.name)
        shutil.copytree(base, made)

    monkeypatch.setattr(pull, "from_hub", from_hub)
    return fetched


def test_the_base_is_not_kept_beside_what_is_built_from_it(toy):
    folder, _ = pull.pull("toy")
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]
    assert pull.damage(folder) is None and toy == ["toy-base"]


def test_a_base_that_was_pulled_for_its_own_sake_is_used_and_kept(toy):
    base, _ = pull.pull("toy-base")
    pull.pull("toy")
    assert toy == ["toy-base"] and base.is_dir()


def test_new_copy_weights_do_not_need_the_base(toy):
    folder, _ = pull.pull("toy")
    weights = (folder / "model.safetensors").read_bytes()
    (seed_adapter_files.adapter_folder() / NAME).write_text('{"share": 1}')
    assert pull.pull("toy") == (folder, True)
    assert (folder / NAME).read_text() == '{"share": 1}' and toy == ["toy-base"]
    assert (folder / "model.safetensors").read_bytes() == weights
    assert pull.damage(folder) is None


def test_a_damaged_model_is_built_from_its_base_again(toy):
    folder, _ = pull.pull("toy")
    (folder / "model.safetensors").write_bytes(b"1234")
    assert pull.pull("toy") == (folder, True)
    assert toy == ["toy-base", "toy-base"] and pull.damage(folder) is None


def test_a_removed_model_is_gone_and_can_be_pulled_again(toy):
    folder, _ = pull.pull("toy")
    size = removal.cached_bytes()
    removed = removal.remove_model("toy")
    assert removed.path == folder and not folder.exists()
    assert 0 < removed.bytes <= size and removal.cached_bytes() < size
    assert pull.pull("toy") == (folder, True)


def test_only_what_was_pulled_can_be_removed(toy, tmp_path):
    with pytest.raises(ModelError, match="part of git-copilot"):
        removal.remove_model("part")
    with pytest.raises(ModelError, match="not here"):
        removal.remove_model("toy")
    mine = tmp_path / "mine"
    mine.mkdir()
    with pytest.raises(ModelError, match="not pulled by git-copilot"):
        removal.remove_model(str(mine))
    assert mine.is_dir()


def test_prune_deletes_what_no_model_needs_and_nothing_else(toy):
    base, _ = pull.pull("toy-base")
    folder, _ = pull.pull("toy")
    old = folder.with_name("copilot-135m-v1")
    shutil.copytree(folder, old)
    unfinished = folder.with_name(".toy-abcd1234")
    unfinished.mkdir()
    own = folder.with_name("somebody--model")
    own.mkdir()
    part = downloads() / "weights-1.0-0123456789ab.part"
    part.write_bytes(b"12")
    removed = {each.path for each in removal.prune_models()}
    assert removed == {base, old, unfinished, part}
    assert folder.is_dir() and own.is_dir() and not any(path.exists() for path in removed)
    assert removal.prune_models() == []


def test_prune_leaves_what_a_pull_works_on(toy):
    folder, _ = pull.pull("toy")
    unfinished = folder.with_name(".toy-abcd1234")
    unfinished.mkdir()
    with (
        file_lock(downloads() / "toy.lock"),
        pytest.raises(CopilotError, match="another process works on"),
    ):
        removal.prune_models()
    assert unfinished.is_dir()
