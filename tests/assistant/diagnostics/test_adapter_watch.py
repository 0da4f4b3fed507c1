"""The adapter in use is watched: what people accept, and how much it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.diagnostics import adapter_watch
from git_copilot.assistant.diagnostics.adapter_watch import Acceptance, is_lower, watch_adapter
from git_copilot.assistant.refresh.schedule import record_refresh
from git_copilot.index.corpus.feedback_days import DAY_SECONDS

NOW = 20_000 * DAY_SECONDS
ADAPTER = "20261121-034512-ab12"


@pytest.fixture(name="context")
def context_with_history(opened_repo):
    repo, git, db = opened_repo
    repo.commit({"a.py": "a = 1\n"})
    record_refresh(git)
    return RepositoryContext(git, db, Settings(model="m"))


def shown(context, adapter, shown, accepted, *, model="m", days_ago=1):
    context.db.connection.execute(
        "INSERT INTO feedback_days (day, model, adapter, language, shown, accepted)"
        " VALUES (?, ?, ?, 'python', ?, ?)",
        (NOW // DAY_SECONDS - days_ago, model, adapter, shown, accepted),
    )


def remarks(context):
    return watch_adapter(context, ADAPTER, NOW)


def test_nothing_is_said_of_an_adapter_that_nobody_has_met(context):
    assert remarks(context) == []


def test_a_lower_acceptance_is_told_with_the_way_back(context):
    shown(context, ADAPTER, 300, 30)
    shown(context, "", 500, 100, days_ago=40)
    shown(context, "20261101-034512-ab12", 500, 100, days_ago=20)
    (found,) = remarks(context)
    assert found.text == (
        f"10% of 300 completions with {ADAPTER} were accepted, and 20% of 1,000 without it"
    )
    assert found.remedy == "git copilot adapter rollback"


@pytest.mark.parametrize(
    ("mine", "others", "more"),
    [
        ((300, 60), (1000, 200), {}),  # equal
        ((300, 90), (1000, 200), {}),  # better
        ((150, 15), (1000, 200), {}),  # too few
        ((300, 30), (1000, 200), {"days_ago": adapter_watch.DAYS}),  # too long ago
        ((300, 30), (1000, 200), {"model": "other"}),
    ],
)
def test_what_says_nothing_of_the_adapter_is_no_reason(context, mine, others, more):
    shown(context, ADAPTER, *mine)
    shown(context, "", *others, **more)
    assert remarks(context) == []


def test_many_commits_that_no_refresh_has_seen_make_it_stale(context, monkeypatch, opened_repo):
    repo, _, _ = opened_repo
    monkeypatch.setattr(adapter_watch, "STALE_COMMITS", 2)
    repo.commit({"b.py": "b = 1\n"})
    assert remarks(context) == []
    repo.commit({"c.py": "c = 1\n"})
    (found,) = remarks(context)
    assert found.text == f"{ADAPTER} is stale: 2 commits came since the last refresh"


def test_equal_acceptance_rarely_looks_lower():
    rng = np.random.default_rng(0)
    trials = [
        is_lower(
            Acceptance(400, int(rng.binomial(400, 0.25))),
            Acceptance(900, int(rng.binomial(900, 0.25))),
        )
        for _ in range(2000)
    ]
    assert sum(trials) / len(trials) < 0.02
    assert not is_lower(Acceptance(400, 0), Acceptance(400, 0))
