"""A plan keeps to its time for all rates, and more time never gives less."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.dataset.split import MIN_HOLES
from git_copilot.assistant.refresh.plan import (
    JUDGING_SHARE,
    MIN_GUARD,
    MIN_LEARNT,
    Bounds,
    Rates,
    Sizes,
    judged_in_share,
    most_epochs,
    plan_refresh,
)

# A laptop with AVX2, and a machine about ten times as fast.
SLOW = Rates(load=3, read=200, decode=15, train=60, held_out_hole=0.2, training_hole=0.1)
FAST = Rates(load=1, read=1600, decode=85, train=600, held_out_hole=0.05, training_hole=0.03)
SIZES = Sizes(prompt=900, completion=18, example=420, guard=240)


def bounds(minutes, **more):
    given = {"spent": 15, "arms": 2, "learn": 1000, "judge": 200, "guard": 24}
    return Bounds(seconds=minutes * 60, **(given | more))


def positive(high):
    return st.floats(1e-3, high, allow_nan=False, allow_infinity=False)


RATES = st.builds(
    Rates,
    load=positive(60),
    read=positive(20_000),
    decode=positive(2_000),
    train=positive(20_000),
    held_out_hole=positive(20),
    training_hole=positive(20),
)
SIZE = st.builds(
    Sizes,
    prompt=positive(4096),
    completion=positive(256),
    example=positive(2048),
    guard=positive(320),
)
BOUNDS = st.builds(
    Bounds,
    seconds=positive(100_000),
    spent=st.floats(0, 200),
    arms=st.integers(2, 3),
    learn=st.integers(1, 2000),
    judge=st.integers(1, 200),
    guard=st.integers(0, 24),
)


@given(RATES, SIZE, BOUNDS)
def test_a_plan_keeps_to_the_limit_and_judging_to_a_third(rates, sizes, wanted):
    plan = plan_refresh(rates, sizes, wanted)
    if plan.enough:
        assert plan.total <= wanted.seconds * (1 + 1e-6)
        assert plan.judging <= wanted.seconds * JUDGING_SHARE * (1 + 1e-6)
    assert wanted.least[0] <= plan.learn <= wanted.learn
    assert wanted.least[1] <= plan.judge <= wanted.judge
    assert wanted.least[2] <= plan.guard <= wanted.guard


@given(RATES, SIZE, BOUNDS, st.floats(1, 10))
def test_more_time_never_gives_fewer_holes(rates, sizes, wanted, factor):
    less = plan_refresh(rates, sizes, wanted)
    more = plan_refresh(rates, sizes, replace(wanted, seconds=wanted.seconds * factor))
    assert more.enough or not less.enough
    if less.enough:
        assert more.learn >= less.learn
        assert more.judge >= less.judge
        assert more.guard >= less.guard


@given(RATES, SIZE, BOUNDS)
def test_the_minutes_that_are_advised_suffice(rates, sizes, wanted):
    needed = plan_refresh(rates, sizes, wanted).minutes_needed
    assert plan_refresh(rates, sizes, replace(wanted, seconds=60.0 * needed)).enough


@pytest.mark.parametrize(("rates", "minutes"), [(FAST, 3), (SLOW, 20)])
def test_enough_time_gives_a_plan_with_the_holes_that_a_decision_needs(rates, minutes):
    plan = plan_refresh(rates, SIZES, bounds(minutes))
    assert plan.enough
    assert plan.learn >= MIN_LEARNT
    assert plan.judge >= MIN_HOLES
    assert plan.guard >= MIN_GUARD


def test_a_time_that_is_too_short_is_refused_with_the_minutes_that_would_do():
    plan = plan_refresh(SLOW, SIZES, bounds(3))
    assert not plan.enough
    assert 10 <= plan.minutes_needed <= 25
    assert (plan.learn, plan.judge, plan.guard) == (MIN_LEARNT, MIN_HOLES, MIN_GUARD)


def test_few_holes_are_learnt_again_where_there_is_time():
    few = bounds(30, learn=150, judge=40)
    plan = plan_refresh(FAST, SIZES, few)
    assert (plan.learn, plan.epochs) == (150, 3)
    assert plan_refresh(FAST, SIZES, replace(few, learn=1000)).epochs == 1
    assert plan_refresh(SLOW, SIZES, few).epochs == 1
    assert [most_epochs(n) for n in (0, 150, 200, 201, 300, 301, 5000)] == [3, 3, 3, 2, 2, 1, 1]


def test_much_time_uses_all_holes_and_no_more_time_than_they_need():
    plan = plan_refresh(FAST, SIZES, bounds(600))
    assert (plan.learn, plan.judge, plan.guard) == (1000, 200, 24)
    assert plan.total < 3600


def test_another_adapter_to_compare_with_costs_time():
    two = plan_refresh(SLOW, SIZES, bounds(20))
    three = plan_refresh(SLOW, SIZES, bounds(20, arms=3))
    assert three.judge < two.judge or three.learn < two.learn


def test_a_small_repository_needs_no_more_holes_than_it_has():
    plan = plan_refresh(FAST, SIZES, bounds(3, learn=20, judge=5))
    assert plan.enough
    assert (plan.learn, plan.judge) == (20, 5)


def test_the_plan_is_told_in_one_line_and_as_json():
    plan = plan_refresh(FAST, SIZES, bounds(3))
    assert plan.line().startswith(f"plan: learn from {plan.learn} holes and judge by {plan.judge}")
    assert "of 3 min (" in plan.line()
    assert "\n" not in plan.line()
    assert plan.to_json() == {
        "learn": plan.learn,
        "judge": plan.judge,
        "guard": plan.guard,
        "preparing": round(plan.preparing, 1),
        "judging": round(plan.judging, 1),
        "training": round(plan.training, 1),
        "limit": 180,
        "minutes_needed": plan.minutes_needed,
        "epochs": plan.epochs,
        "total": round(plan.total, 1),
    }


@pytest.mark.parametrize(
    ("spent", "seconds", "count"),
    [(20, 40, 50), (30, 40, 37), (59, 40, 1), (99, 40, 0), (60, 0, 50)],
)
def test_another_model_is_judged_by_as_many_holes_as_the_share_allows(spent, seconds, count):
    assert judged_in_share(180, spent, seconds, 50) == count
