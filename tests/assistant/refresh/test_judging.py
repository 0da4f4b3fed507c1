"""Arms are judged hole by hole: completions only while they can decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.evaluation.arms import ArmEvaluator
from git_copilot.assistant.evaluation.score_store import ScoreStore
from git_copilot.assistant.evaluation.stored_scoring import base_identity
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.refresh.judging import (
    Judge,
    JudgedArm,
    Until,
    guard_part,
)
from git_copilot.assistant.refresh.preparation import judging_order
from git_copilot.assistant.refresh.run_clock import RunClock
from git_copilot.index.core.types import Hole
from tests.support.tiny_models import CODE, UNFINISHED, save_tiny

ALWAYS = Until(float("inf"), float("inf"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"), fim=True, layers=1)


@pytest.fixture(scope="module")
def held(folder):
    """28 holes of seven commits."""
    tokenizer = TextTokenizer.load(folder)
    data = (CODE * 6 + UNFINISHED).encode()
    holes = [
        Hole(f"c{i % 7}", "b", "m.py", s, s + 3 + s % 9, "line", "", 0, "python")
        for i, s in enumerate(range(60, 60 + 20 * 28, 20))
    ]
    return [make_example(tokenizer, cut_blob(data, h), (), Budget(120, 0, 40)) for h in holes]


def judge_in(folder, held, work, seconds=()):
    chosen = Settings(model="tiny", max_tokens=4, copying=False)
    ticks = iter(seconds)
    evaluator = ArmEvaluator(folder, chosen, TextTokenizer.load(folder))
    clock = RunClock(0.0, None, lambda: next(ticks, 0.0))
    base = base_identity("tiny", folder)
    return Judge(evaluator, chosen, base, held, held[:2], ScoreStore(work), clock)


def shifted(arm, by):
    """An arm whose middles are less likely by given nats."""
    return JudgedArm(
        [
            replace(s, score=replace(s.score, nll=s.score.nll + more))
            for s, more in zip(arm.found, by, strict=True)
        ],
        arm.guard,
    )


def test_completions_that_were_left_out_are_made_once_they_can_decide(folder, held, tmp_path):
    plain = judge_in(folder, held, tmp_path / "a").judge(None, "base model", ALWAYS, guard=True)
    assert all(s.score.completed for s in plain.found)
    seemed_worse = shifted(plain, [-1.0] * 26 + [100.0, 100.0])
    judge = judge_in(folder, held, tmp_path / "b")
    made = []
    whole = judge._complete
    judge._complete = lambda scoring, found, until: (
        made.extend(not s.score.completed for s in found),
        whole(scoring, found, until),
    )
    after = judge.judge(None, "candidate", ALWAYS, against=seemed_worse, guard=True)
    assert sum(made) > 3
    assert after.scores == plain.scores
    is_worse = shifted(plain, [-1.0] * 28)
    worse = judge_in(folder, held, tmp_path / "c").judge(
        None, "candidate", ALWAYS, against=is_worse, guard=True
    )
    assert [s.score.completed for s in worse.found] == [True] * 20 + [False] * 8
    assert [s.score.nll for s in worse.found] == [s.score.nll for s in plain.found]


def test_judging_stops_when_a_decision_is_possible_and_at_the_latest_in_time(
    folder, held, tmp_path
):
    def judged(until, name):
        judge = judge_in(folder, held, tmp_path / name, range(1000))
        return len(judge.judge(None, "base model", until).found)

    assert judged(ALWAYS, "a") == 28
    assert judged(Until(5, 1000), "b") == 20  # enough of them, from enough commits
    assert 3 <= judged(Until(5, 8), "c") <= 8
    assert judged(Until(24, 1000), "d") in (23, 24)


def test_holes_of_few_commits_are_never_enough(folder, held, tmp_path):
    same = [
        replace(e, cut=replace(e.cut, hole=replace(e.hole, commit=f"c{i % 4}")))
        for i, e in enumerate(held)
    ]
    judge = judge_in(folder, same, tmp_path)
    assert not judge.is_enough(20)
    assert judge.is_enough(28)  # no more are there
    assert judge_in(folder, held, tmp_path).is_enough(20)


def test_the_newest_commits_are_judged_first_in_turn():
    holes = [
        Hole(commit, "b", f"{i}.py", 0, 1, "line", "", 0)
        for commit, count in (("new", 3), ("mid", 1), ("old", 2))
        for i in range(count)
    ]
    order = [(h.commit, h.path) for h in judging_order(holes)]
    assert order == [
        ("new", "0.py"),
        ("mid", "0.py"),
        ("old", "0.py"),
        ("new", "1.py"),
        ("old", "1.py"),
        ("new", "2.py"),
    ]


def test_a_part_of_the_regression_holes_is_spread_over_all(held):
    assert guard_part(held, len(held)) == guard_part(held, 99) == held
    assert guard_part(held, 4) == [held[0], held[7], held[14], held[21]]
    assert guard_part(held, 0) == guard_part([], 8) == []
