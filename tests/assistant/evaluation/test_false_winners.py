"""Statistics that find winners where there are none would promote by chance."""

from __future__ import annotations

import random

import pytest

from git_copilot.assistant.evaluation.false_winners import false_winners
from git_copilot.assistant.evaluation.metrics import Score


def arm(rng, rate, commits=40, holes=5):
    """Scores whose holes are alike within a commit."""
    found = []
    for commit in range(commits):
        easy = rng.random() < rate
        found += [
            Score(f"c{commit}", 100.0 * (rng.random() < (0.9 if easy else 0.1)), 0, 5.0, 1.0, 4)
            for _ in range(holes)
        ]
    return found


@pytest.mark.parametrize("rates", [(0.3, 0.3), (0.2, 0.6)])
def test_winners_are_rare_when_neither_arm_is_better(rates):
    rng = random.Random(3)
    before, after = (arm(rng, rate) for rate in rates)
    assert false_winners(before, after) <= 0.05


def test_equal_arms_never_win():
    before = arm(random.Random(5), 0.5)
    assert false_winners(before, before) == 0


def test_the_same_seed_gives_the_same_share():
    rng = random.Random(4)
    before, after = arm(rng, 0.3, 12), arm(rng, 0.5, 12)
    assert false_winners(before, after, 40, 7) == false_winners(before, after, 40, 7)
