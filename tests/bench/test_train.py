"""bench/train.py compares like with like, on a tiny model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.tiny_models import save_tiny

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import train

    yield train
    for name in ("train", "about", "isa"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_both_trainers_take_the_same_steps(bench, tmp_path, monkeypatch):
    from git_copilot.assistant.training import lora

    monkeypatch.setattr(lora, "DROPOUT", lora.DROPOUT)  # the bench sets it to 0
    monkeypatch.setattr(bench, "windows", short_windows(bench.windows))
    model = str(save_tiny(tmp_path / "tiny"))
    ours, theirs = (run(model, 3) for run in bench.RUNS.values())
    assert len(ours["losses"]) == len(theirs["losses"]) == 3
    assert ours["losses"] == pytest.approx(theirs["losses"], rel=0.01)
    assert ours["losses"][0] != ours["losses"][1]
    assert ours["tokens_per_s"] > 0 and theirs["peak_mb"] > 0


def short_windows(made):
    """Windows of a size that a tiny model is fast with."""

    def cut(tokenizer, count):
        whole = made(tokenizer, count)
        return [type(w)(w.prompt_ids[-90:], w.middle_ids) for w in whole]

    return cut


def test_limits_are_read_before_torch_is(bench, monkeypatch):
    import isa

    for name in isa.LIMITS["avx2"]:
        monkeypatch.delenv(name, raising=False)
    isa.limit_instructions(["--quick"])
    assert isa.instructions()["limited_to"] is None
    for name, value in isa.LIMITS["avx2"].items():
        monkeypatch.setenv(name, value)
    isa.limit_instructions(["--quick", "--isa", "avx2"])
    assert isa.instructions()["limited_to"] == "avx2"
    with pytest.raises(SystemExit):
        isa.limit_instructions(["--isa", "mmx"])
