"""A dry run tells what a refresh would do, and does nothing."""

from __future__ import annotations

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.refresh.dry_run import dry_run
from git_copilot.assistant.refresh.run_clock import RunClock
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    opened_history,
    quick_recipe,
    run,
    settings,
    tiny_model,
)

pytestmark = pytest.mark.slow


def plan(found, db, model, minutes=None, **more):
    context = RepositoryContext(found, db, settings(model, **more))
    clock = RunClock.start(minutes and minutes * 60)
    return dry_run(context, clock=clock, folder=model, max_holes=40, held_out_holes=24)


def test_it_tells_what_the_refresh_then_does(opened_repo, tiny):
    _, found, db = opened_repo
    told = plan(found, db, tiny)
    facts = told.to_json()
    assert adapter_store.ids(found.state_dir) == []
    done = run(found, db, tiny)
    assert facts["judge"]["holes"] == done["holes"]["held_out"]
    learn = facts["learn"]
    # Copies of held-out holes are found only when the holes are read.
    assert learn["passages"] + learn["holes"] >= done["holes"]["train"]
    assert learn["passages"] + learn["holes"] == 40
    assert learn["passages"] and learn["holes"]
    assert (facts["incumbent"], facts["started_from"]) == (None, None)
    assert facts["plan"]["total"] > 0
    assert told.lines()[0].startswith(
        f"learns    {learn['passages']} passages of {learn['files']} files and {learn['holes']} holes"
        f" of {learn['commits']} commits"
    )
    assert "against the base model" in told.lines()[2]
    assert facts["judge"]["since"] in told.lines()[2]


def test_a_limit_that_does_not_suffice_is_told_with_one_that_does(opened_repo, tiny):
    _, found, db = opened_repo
    told = plan(found, db, tiny, minutes=1 / 1000)
    assert not told.to_json()["enough"]
    assert f"--minutes {told.plan.minutes_needed} does" in told.lines()[-1]
    assert plan(found, db, tiny, minutes=30).to_json()["enough"]


def test_what_an_adapter_in_use_changes_is_told(opened_repo, tiny):
    _, found, db = opened_repo
    adapter = run(found, db, tiny)["candidate"]
    adapter_store.use(found.state_dir, adapter)
    told = plan(found, db, tiny, refresh_start="adapter")
    assert told.to_json()["incumbent"] == told.to_json()["started_from"] == adapter
    assert told.lines()[1] == f"starts    from the adapter {adapter}"
    assert told.lines()[2].endswith(f"against the adapter {adapter}")
