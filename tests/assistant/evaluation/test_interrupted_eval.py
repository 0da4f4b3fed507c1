"""An evaluation that was interrupted goes on with what it has measured."""

from __future__ import annotations

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.evaluation import arms
from git_copilot.assistant.evaluation.eval_run import WORK
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    evaluate,
    opened_history,
    quick_recipe,
    run,
    tiny_model,
)


@pytest.fixture(name="scored")
def scored_examples(monkeypatch):
    """The examples that a model scored, and after how many of them the user interrupts."""
    state = {"keys": [], "most": 10**6}
    score = arms.LoadedArm.score

    def watched(self, examples, *args, **more):
        if len(state["keys"]) >= state["most"]:
            raise KeyboardInterrupt
        state["keys"] += [example.key for example in examples]
        return score(self, examples, *args, **more)

    monkeypatch.setattr(arms.LoadedArm, "score", watched)
    return state


def figures(report):
    """What does not depend on time."""
    return {key: value for key, value in report.items() if key not in ("seconds", "latency")}


def test_nothing_is_measured_twice(opened_repo, tiny, scored):
    _, found, db = opened_repo
    run(found, db, tiny)
    scored["keys"].clear()
    whole = evaluate(found, db, tiny, held_out_holes=8)
    count = len(scored["keys"])
    kept = adapter_store.adapters_dir(found.state_dir) / WORK
    assert count > 8 and not kept.exists()
    for most in (3, count // 2 + 3):
        scored.update(keys=[], most=most)
        with pytest.raises(KeyboardInterrupt):
            evaluate(found, db, tiny, held_out_holes=8)
        assert kept.is_dir()
    begun = len(scored["keys"])
    scored.update(keys=[], most=10**6)
    again = evaluate(found, db, tiny, held_out_holes=8)
    assert figures(again) == figures(whole)
    assert 0 < len(scored["keys"]) <= count - begun
    assert not kept.exists()


def test_other_settings_are_measured_again_but_not_what_is_the_same(opened_repo, tiny, scored):
    _, found, db = opened_repo
    scored["most"] = 4
    with pytest.raises(KeyboardInterrupt):
        evaluate(found, db, tiny, held_out_holes=6, adapter="none")
    scored.update(keys=[], most=10**6)
    report = evaluate(found, db, tiny, held_out_holes=6, adapter="none", commits_range="HEAD~9")
    assert report["holes"]["held_out"] == 6
    assert len(scored["keys"]) >= 6
