"""A refresh that goes on from the adapter in use learns from what that has not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.refresh import pipeline
from git_copilot.assistant.refresh.warm_start import WarmStart
from git_copilot.index.core.types import Hole
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    opened_history,
    quick_recipe,
    run,
    settings,
    tiny_model,
)

HOLES = [
    Hole(f"c{i // 2}", "b", "p.py", i, i + 1, "line", "A", 100 - i, "python") for i in range(80)
]
WEIGHTS = dict.fromkeys(HOLES, 1.0)


def warm(learnt, *, replays):
    return WarmStart("some-adapter", Path("folder"), frozenset(learnt), replays)


def test_new_holes_alone():
    chosen = warm({f"c{i}" for i in range(20, 40)}, replays=False).choose(WEIGHTS, 0)
    assert list(chosen) == HOLES[:40]


def test_replay_adds_as_many_old_holes():
    start = warm({f"c{i}" for i in range(15, 40)}, replays=True)
    chosen = list(start.choose(WEIGHTS, 0))
    assert chosen[:30] == HOLES[:30]
    assert len(chosen) == 60 and chosen == sorted(chosen, key=HOLES.index)
    assert start.choose(WEIGHTS, 0) != start.choose(WEIGHTS, 1)


def test_old_holes_make_up_for_too_few_new_ones():
    chosen = warm({f"c{i}" for i in range(1, 40)}, replays=False).choose(WEIGHTS, 0)
    assert len(chosen) == 20 and list(chosen)[:2] == HOLES[:2]


@pytest.fixture
def trained(monkeypatch):
    """What each training began with: the adapter's name and the commits of its holes."""
    found, whole = [], pipeline.train_adapter

    def watched(model, examples, recipe, *, start=None, **more):
        commits = {example.hole.commit for example in examples}
        found.append((start.name if start else None, commits))
        return whole(model, examples, recipe, start=start, **more)

    monkeypatch.setattr(pipeline, "train_adapter", watched)
    return found


@pytest.mark.slow
def test_a_second_refresh_goes_on_from_the_adapter_in_use(opened_repo, tiny, trained):
    repo, found, db = opened_repo
    first = run(found, db, tiny)
    assert first["promoted"] and first["started_from"] is None
    for i in range(100, 114):
        repo.commit({f"later{i}.py": f"def late_{i}(v, off):\n    w = mix(v, {i}) + off[{i}]\n"
                     f"    w = mix(w, {i + 7}) - off[{i}]\n    return w + v\n"})  # fmt: skip
    chosen = replace(settings(tiny), refresh_start="adapter")
    second = run(found, db, tiny, settings=chosen)
    learnt = adapter_store.trained_on(found.state_dir, first["candidate"])
    assert second["started_from"] == first["candidate"]
    assert trained[0][0] is None and trained[1][0] == first["candidate"]
    assert trained[1][1] - learnt
    # Training went on: the weights are not those of a new adapter after the same steps.
    assert second["training"]["loss"] < first["training"]["loss"]


@pytest.mark.slow
def test_another_rank_starts_from_a_new_adapter(opened_repo, tiny, trained):
    _, found, db = opened_repo
    run(found, db, tiny)
    notes = []
    chosen = replace(settings(tiny), refresh_start="replay", adapter_rank=2)
    second = run(found, db, tiny, settings=chosen, note=notes.append)
    assert second["started_from"] is None and trained[1][0] is None
    assert any("has rank 4, not 2" in note for note in notes)
