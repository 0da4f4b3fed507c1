"""A refresh with a time limit plans, keeps to it, and loses nothing when it runs out."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.evaluation import arms, regression_check
from git_copilot.assistant.refresh import start
from git_copilot.assistant.refresh.run_clock import RefusedPlan, RunClock, TooLittleTime
from git_copilot.assistant.refresh.schedule import refresh_due
from git_copilot.assistant.worker import training
from git_copilot.index.core.errors import ModelError
from git_copilot.index.corpus.mining import mine
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    opened_history,
    quick_recipe,
    run,
    settings,
    tiny_model,
)

pytestmark = pytest.mark.slow


class Machine:
    """A clock by which every look at it takes ``step`` seconds: a machine whose speed is known."""

    def __init__(self, step=0.1):
        self.step, self.time = step, 0.0
        self.labels = []

    def now(self):
        self.time += self.step
        return self.time

    def clock(self, limit):
        return RunClock.start(limit, self.now)

    def progress(self, label, done, total):
        if not self.labels or self.labels[-1] != label:
            self.labels.append(label)


@pytest.fixture
def scored(monkeypatch):
    """How many holes were really scored, with completions (``True``) and without."""
    counts = {True: 0, False: 0}
    whole = arms.evaluate

    def counting(model, tokenizer, examples, options):
        counts[options.generate] += len(examples)
        return whole(model, tokenizer, examples, options)

    monkeypatch.setattr(arms, "evaluate", counting)
    return counts


def work(found):
    return found.state_dir / "adapters" / ".work"


@pytest.mark.parametrize("limit", [110, 200, 400])
def test_a_refresh_ends_in_time_and_tells_its_plan(opened_repo, tiny, limit):
    _, found, db = opened_repo
    machine, notes = Machine(), []
    evidence = run(
        found, db, tiny, clock=machine.clock(limit), note=notes.append, progress=machine.progress
    )
    assert evidence["seconds"] <= 1.15 * limit
    plan = evidence["plan"]
    assert plan["total"] <= plan["limit"] == limit
    assert plan["judging"] <= limit / 3
    assert 20 <= evidence["holes"]["held_out"] <= plan["judge"]
    assert evidence["holes"]["train"] <= plan["learn"]
    assert [note for note in notes if note.startswith("plan: learn from")]
    assert machine.labels.index("measuring speed") < machine.labels.index("training")
    assert adapter_store.read_report(found.state_dir, evidence["candidate"])["plan"] == plan
    assert not work(found).exists()


def test_a_time_that_is_too_short_is_refused_before_anything_is_judged(opened_repo, tiny):
    _, found, db = opened_repo
    machine = Machine()
    with pytest.raises(RefusedPlan) as caught:
        run(found, db, tiny, clock=machine.clock(9), progress=machine.progress)
    assert "9 s are too short to learn from 40 holes and to judge by 20" in str(caught.value)
    assert caught.value.exit_code == 1
    minutes = int(re.search(r"`--minutes (\d+)`", caught.value.hint)[1])
    assert f"copilot.refreshMinutes {minutes}`" in caught.value.hint
    assert not {"training", "evaluating the base model"} & set(machine.labels)
    assert adapter_store.ids(found.state_dir) == []
    run(found, db, tiny, clock=Machine().clock(60 * minutes))


def test_an_automatic_refresh_that_is_refused_waits_for_more_commits(
    opened_repo, tiny, monkeypatch
):
    _, found, db = opened_repo
    mine(found, db)
    chosen = settings(tiny, refresh_minutes=20, refresh_commits=20)
    monkeypatch.setattr(training, "load_settings", lambda repo: chosen)
    # As on a machine that is much slower.
    whole = start.plan_refresh
    monkeypatch.setattr(start, "plan_refresh", lambda *given: replace(whole(*given), enough=False))
    context = RepositoryContext(found, db, chosen)
    assert refresh_due(context) is not None
    with pytest.raises(RefusedPlan):
        training.train(found.git_dir)
    assert refresh_due(context) is None


def test_what_was_measured_of_the_base_model_is_not_measured_again(opened_repo, tiny, scored):
    _, found, db = opened_repo

    def interrupted(label, done, total):
        if label == "evaluating the base model" and done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(found, db, tiny, progress=interrupted)
    assert scored == {True: 10, False: 8}
    first = run(found, db, tiny)
    # The rest of the base model's, and all of the candidate's.
    assert scored == {True: 24 + 24, False: 8 + 8}
    adapter_store.use(found.state_dir, None)
    whole = run(found, db, tiny)
    assert {k: whole[k] for k in ("arms", "delta_em", "ci95")} == {
        k: first[k] for k in ("arms", "delta_em", "ci95")
    }


@pytest.mark.parametrize(
    ("new_commit", "label", "judged"),
    [
        (False, "evaluating the candidate", 3),
        (True, "evaluating the candidate", 3),
        (False, "checking for regressions", 0),
    ],
)
def test_a_candidate_that_nobody_could_judge_in_time_is_judged_by_the_next_refresh(
    opened_repo, tiny, scored, new_commit, label, judged
):
    repo, found, db = opened_repo
    head = repo.git("rev-parse", "HEAD")
    machine = Machine()

    def becomes_slow(now, done, total):
        machine.progress(now, done, total)
        if "training" in machine.labels and now == label and done == 3:
            machine.step = 1000.0

    with pytest.raises(TooLittleTime, match=f"the candidate was judged by only {judged} of"):
        run(found, db, tiny, clock=machine.clock(200), progress=becomes_slow)
    assert adapter_store.ids(found.state_dir) == []
    if new_commit:
        repo.commit({"new.py": "".join(f"def new_{i}(a):\n    return a + {i}\n" for i in range(9))})
    before, again, notes = dict(scored), Machine(), []
    evidence = run(found, db, tiny, progress=again.progress, note=notes.append)
    assert "training" not in again.labels
    assert any("unfinished refresh" in note for note in notes)
    assert evidence["commits"]["held_out"][1] == head
    assert evidence["training"]["steps"] > 0
    assert evidence["promoted"], evidence["reason"]
    assert adapter_store.current_adapter(found.state_dir) == evidence["candidate"]
    assert adapter_store.trained_on(found.state_dir, evidence["candidate"])
    # What was measured of the candidate before is not measured again.
    assert scored[True] - before[True] == evidence["holes"]["held_out"] - judged
    assert scored[False] - before[False] == (0 if judged else 8 - 4)
    due = refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=1)))
    assert (due is not None) is new_commit
    assert not work(found).exists()


def test_a_candidate_of_a_history_that_was_rewritten_is_forgotten(opened_repo, tiny):
    repo, found, db = opened_repo

    def interrupted(label, done, total):
        if label == "evaluating the candidate" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(found, db, tiny, progress=interrupted)
    repo.git("commit", "-q", "--amend", "-m", "another message")
    machine = Machine()
    run(found, db, tiny, progress=machine.progress)
    assert "training" in machine.labels


def test_a_candidate_that_cannot_be_loaded_is_not_tried_twice(opened_repo, tiny):
    _, found, db = opened_repo

    def interrupted(label, done, total):
        if label == "evaluating the candidate" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(found, db, tiny, progress=interrupted)
    (work(found) / "candidate" / adapter_store.WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(ModelError):
        run(found, db, tiny)
    machine = Machine()
    run(found, db, tiny, progress=machine.progress)
    assert "training" in machine.labels


def test_where_the_machine_became_slower_fewer_holes_are_judged(opened_repo, tiny):
    """The base model takes more than its part of the time for judging."""
    _, found, db = opened_repo
    machine = Machine()

    def becomes_slow(label, done, total):
        machine.step = 0.4 if label == "evaluating the base model" and done < total else 0.1

    evidence = run(
        found, db, tiny, clock=machine.clock(60), progress=becomes_slow,
        held_out_holes=70, max_holes=20,
    )  # fmt: skip
    assert 20 <= evidence["holes"]["held_out"] < evidence["plan"]["judge"]
    assert evidence["seconds"] <= 1.15 * 60


def test_a_limited_refresh_that_was_interrupted_in_training_keeps_its_plan(opened_repo, tiny):
    _, found, db = opened_repo

    def interrupted(label, done, total):
        if label == "training" and done == 6:
            raise KeyboardInterrupt

    machine = Machine()
    with pytest.raises(KeyboardInterrupt):
        run(found, db, tiny, clock=machine.clock(200), progress=interrupted)
    # The machine is slower now: with another plan, training would begin again.
    again, notes = Machine(0.12), []
    evidence = run(
        found, db, tiny, clock=again.clock(200), progress=again.progress, note=notes.append
    )
    assert evidence["training"]["resumed_at"] == 6
    assert "measuring speed" not in again.labels


def test_training_stops_for_the_time_that_judging_needs(opened_repo, tiny):
    _, found, db = opened_repo
    machine, notes = Machine(), []

    def becomes_slow(label, done, total):
        if label == "training":
            machine.step = 8.0 if 2 <= done < total else 0.1

    evidence = run(
        found, db, tiny, clock=machine.clock(200), progress=becomes_slow, note=notes.append
    )
    assert evidence["training"]["stopped"] is True
    assert any("time ran out after" in note for note in notes)
    assert evidence["holes"]["held_out"] >= 20


def test_no_completion_is_made_where_the_regression_check_fails(
    opened_repo, tiny, scored, monkeypatch
):
    _, found, db = opened_repo
    monkeypatch.setattr(regression_check, "TOLERANCE", -0.99)
    evidence = run(found, db, tiny)
    assert evidence["promoted"] is False
    assert "outside this repository" in evidence["reason"]
    assert scored[True] == 24  # the base model's
    candidate = evidence["arms"]["candidate"]
    assert (candidate["em"], candidate["es"], evidence["delta_em"]) == (None, None, None)
    assert candidate["nll"] < evidence["arms"]["base"]["nll"]
    assert evidence["arms"]["base"]["em"] is not None


def test_reading_the_history_is_bounded_as_well(opened_repo, tiny):
    _, found, db = opened_repo
    with pytest.raises(TooLittleTime, match="reading the history was not finished"):
        run(found, db, tiny, clock=Machine(10).clock(5))
    run(found, db, tiny)


def test_a_clock_without_limit_never_ends():
    machine = Machine()
    clock = RunClock.start(None, machine.now)
    machine.time = 1e9
    clock.bounded(machine.progress)("mining", 1, 2)
    assert machine.labels == ["mining"]
    assert clock.left() == float("inf")
