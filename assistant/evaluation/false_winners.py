"""A/A: how often the statistics of an evaluation would find a winner where there is none. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from git_copilot.assistant.evaluation.metrics import Score, compare

ROUNDS = 200
# Fewer than for a result: a share of 200 rounds needs no better.
RESAMPLES = 1000


def false_winners(
    before: Sequence[Score], after: Sequence[Score], rounds: int = ROUNDS, seed: int = 0
) -> float:
    """The share, 0 to 1, of ``rounds`` comparisons with a winner by exact match, where the arms of
    each commit are swapped at random: then they differ as much as before, but neither is better.

    :param before: one arm's scores, over the same holes in the same order as ``after``.
    """
    commits = list(dict.fromkeys(score.commit for score in before))
    draw, winners = random.Random(seed), 0
    for number in range(rounds):
        swapped = {commit for commit in commits if draw.random() < 0.5}
        pairs = [
            (new, old) if old.commit in swapped else (old, new)
            for old, new in zip(before, after, strict=True)
        ]
        first, second = ([pair[i] for pair in pairs] for i in (0, 1))
        found = compare(first, second, seed + number, resamples=RESAMPLES)
        winners += found.em.low > 0 and found.p_value < 0.05
    return winners / rounds
