"""A refresh in the background on a real repository, with a machine whose state is scripted."""

from __future__ import annotations

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.refresh.activity import read_activity
from git_copilot.assistant.refresh.conditions import Reading
from git_copilot.assistant.refresh.schedule import record_refresh
from git_copilot.assistant.worker import training
from git_copilot.assistant.worker.options import TrainingOptions
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import file_lock
from git_copilot.index.corpus.mining import mine
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    opened_history,
    quick_recipe,
    settings,
    tiny_model,
)

pytestmark = pytest.mark.slow
ASKED = TrainingOptions(asked=True, holes=40, held_out=24)


class Scripted:
    """Always calm; ``looked`` is called at each look, with its number."""

    def __init__(self, looked=lambda number: None):
        self.looks, self.looked = 0, looked

    def read(self):
        self.looks += 1
        self.looked(self.looks)
        return Reading(on_battery=False, load=0.0, hour=12)


@pytest.fixture(autouse=True)
def configured(tiny, monkeypatch):
    chosen = settings(tiny, refresh_commits=3)
    monkeypatch.setattr(training, "load_settings", lambda repo: chosen)


def only_report(found):
    (adapter,) = adapter_store.ids(found.state_dir)
    return adapter_store.read_report(found.state_dir, adapter)


def test_it_trains_once_and_leaves_no_trace_of_the_process(opened_repo):
    repo, found, _ = opened_repo
    seen = []
    machine = Scripted(lambda number: seen.append(read_activity(found.state_dir)))
    reason = training.train(found.git_dir, ASKED, machine)
    report = only_report(found)
    assert reason == report["reason"]
    assert report["commits"]["held_out"][1] == repo.git("rev-parse", "HEAD")
    assert seen[-1].phase.startswith(("evaluating", "training"))
    assert read_activity(found.state_dir) is None


def test_one_that_is_not_due_any_more_does_nothing(opened_repo):
    _, found, db = opened_repo
    mine(found, db)
    record_refresh(found)
    assert training.train(found.git_dir, TrainingOptions(), Scripted()) == training.NOT_DUE
    assert adapter_store.ids(found.state_dir) == []


def test_it_begins_again_with_commits_that_came_before_it_had_learnt_much(opened_repo):
    repo, found, _ = opened_repo

    def merge(number):
        if number == 2:  # the first look is before it starts
            for i in range(3):
                lines = "".join(f"    n{j} = late(n, {900 + 10 * i + j})\n" for j in range(5))
                repo.commit({f"late{i}.py": f"def late_{i}(n):\n{lines}    return n\n"})

    training.train(found.git_dir, ASKED, Scripted(merge))
    assert only_report(found)["commits"]["held_out"][1] == repo.git("rev-parse", "HEAD")


def test_it_begins_again_when_its_history_was_rewritten(opened_repo):
    repo, found, _ = opened_repo

    def rewrite(number):
        if number == 2:
            repo.git("commit", "-q", "--amend", "-m", "again")

    training.train(found.git_dir, ASKED, Scripted(rewrite))
    assert only_report(found)["commits"]["held_out"][1] == repo.git("rev-parse", "HEAD")


def test_a_second_one_is_refused(opened_repo):
    _, found, _ = opened_repo
    with (
        file_lock(adapter_store.adapters_dir(found.state_dir) / training.LOCK),
        pytest.raises(CopilotError, match="another refresh"),
    ):
        training.train(found.git_dir, ASKED, Scripted())
