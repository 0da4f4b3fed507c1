"""bench/replay.py: a replay goes through a history in order, and counts what did harm."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from git_copilot.index.git.repository import GitRepository
from tests.support.refresh_fixtures import tiny_model, write_history  # noqa: F401 - fixtures

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def replay(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import replay as bench

    yield bench
    for name in ("replay", "about"):
        sys.modules.pop(name, None)


def stage(promoted, gate, later, em=(0.0, -1.0, 1.0), nll=(-0.01, 0.01)):
    return {
        "promoted": promoted,
        "reason": "because",
        "delta_em": 0.5,
        "delta_middle_nll": gate,
        "seconds": 60.0,
        "later": {
            "delta_em": em[0], "ci95": list(em[1:]), "delta_middle_nll": later,
            "middle_nll_ci95": list(nll),
        },
    }  # fmt: skip


STAGES = [
    stage(True, -0.05, -0.04, (2.0, 0.5, 4.0)),
    stage(True, -0.03, -0.01, (-3.0, -5.0, -1.0)),  # less exact
    stage(True, -0.04, 0.05, nll=(0.01, 0.09)),  # less likely
    stage(False, -0.02, -0.02, (4.0, 1.0, 6.0)),  # a refused gain
    stage(False, 0.01, 0.03, (-4.0, -6.0, -1.0)),  # rightly refused
    stage(True, -0.06, -0.05, (1.0, None, None)),  # one commit: no interval
    {"commits": "a..b", "error": {"message": "too little time"}},
]


def test_harm_and_missed_gains_are_counted(replay):
    found = replay.summary(STAGES)
    assert (found["judged"], found["promoted"]) == (6, 4)
    assert (found["harmful_promotions"], found["refused_gains"]) == (2, 1)
    assert found["mean_later_delta_em"] == pytest.approx(0.0)
    # By ranks: likelihoods of the gate and of later code.
    assert 0 < found["gate_likelihood_foretells_likelihood"] < 1
    assert -1 <= found["gate_likelihood_foretells_exact_match"] <= 1


def test_too_few_stages_have_no_correlation(replay):
    assert replay.summary(STAGES[:2])["gate_likelihood_foretells_likelihood"] is None
    assert replay.summary([])["mean_later_delta_em"] is None


def test_the_table_has_a_line_for_each_stage(replay):
    result = {"stages": STAGES, "summary": replay.summary(STAGES)}
    lines = replay.table(result).splitlines()
    assert len(lines) == 1 + len(STAGES) + len(result["summary"])
    assert lines[1].startswith("promoted") and lines[4].startswith("refused")
    assert "too little time" in lines[7]


@pytest.mark.slow
def test_a_replay_refreshes_judges_by_later_commits_and_goes_on(
    replay, repo, tiny, tmp_path, monkeypatch
):
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    write_history(repo, 40)
    options = argparse.Namespace(
        repo=repo.path, every=4, refreshes=2, minutes=5, holes=10, start="adapter", model=str(tiny)
    )
    first, second = replay.replay(repo.path, options)
    head = GitRepository.discover(repo.path).head_commit()
    assert second["commits"].endswith(f"..{head}")
    assert first["commits"].split("..")[1] == second["commits"].split("..")[0]
    for found in (first, second):
        assert found["later"]["holes"]["held_out"] > 0
        assert found["trained_seconds"] > 0
    assert first["started_from"] is None
    assert (second["started_from"] is None) is not first["promoted"]


def test_a_short_history_is_told(replay, repo):
    repo.commit({"a.py": "x = 1\n"})
    options = argparse.Namespace(repo=repo.path, every=60, refreshes=6)
    with pytest.raises(SystemExit, match="has 1 commits"):
        replay.replay(repo.path, options)
