"""How good completions are, and how sure a difference is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Score:
    """How one hole went.

    ``em`` and ``es`` are 0 to 100. ``nll`` is the summed negative log-likelihood (nats) of the
    ``tokens`` tokens of the middle, ``end_nll`` that of the end token after them.
    """

    commit: str
    em: float
    es: float
    nll: float
    end_nll: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference with its 95% confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changes from the first of two arms to the second, over the same holes.

    ``em`` and ``es`` are in points, ``nll`` in nats per token of the middle *without* the end token
    (negative is better), ``p_value`` is McNemar's for exact match.
    """

    em: Interval
    es: Interval
    nll: Interval
    won: int
    lost: int
    p_value: float


def exact_match(completion: str, middle: str) -> float:
    """100 when the texts are equal but for white space at the end, else 0."""
    return 100.0 if completion.rstrip() == middle.rstrip() else 0.0


def levenshtein(first: str, second: str) -> int:
    """Insertions, deletions and substitutions of characters that turn one text into the other.

    Bit-parallel (Myers 1999, in Hyyrö's 2003 form): one row of the table is one integer.
    """
    if not first or not second:
        return max(len(first), len(second))
    places: dict[str, int] = {}
    for i, char in enumerate(first):
        places[char] = places.get(char, 0) | 1 << i
    mask, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    up, down, distance = mask, 0, len(first)
    for char in second:
        equal = places.get(char, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right = down | (mask & ~(diagonal | up))
        left = diagonal & up
        if right & last:
            distance += 1
        elif left & last:
            distance -= 1
        right = right << 1 | 1
        up = mask & (left << 1 | ~(diagonal | right))
        down = right & diagonal & mask
    return distance


def edit_similarity(completion: str, middle: str) -> float:
    """100 · (1 - distance / longer length), white space at the ends of the texts left out."""
    first, second = completion.rstrip(), middle.rstrip()
    longest = max(len(first), len(second))
    return 100.0 * (1 - levenshtein(first, second) / longest) if longest else 100.0


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Mean ``em`` and ``es`` in %, and mean ``nll`` in nats per token, end token included."""
    if not scores:
        return {"em": 0.0, "es": 0.0, "nll": 0.0}
    count = len(scores)
    tokens = sum(s.tokens + 1 for s in scores)
    return {
        "em": round(sum(s.em for s in scores) / count, 3),
        "es": round(sum(s.es for s in scores) / count, 3),
        "nll": round(sum(s.nll + s.end_nll for s in scores) / tokens, 5),
    }


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p-value of McNemar's test from the discordant pairs."""
    total = won + lost
    tail = sum(math.comb(total, k) for k in range(min(won, lost) + 1)) / 2**total
    return float(min(1.0, 2 * tail))


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t, by the Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5);
    within 0.01 for four degrees of freedom and better for more."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    total: float = z + sum(term / freedom ** (i + 1) for i, term in enumerate(terms))
    return total


def _tail(clusters: int) -> float:
    """The share to cut off at each end for a 95% interval from so few clusters.

    A percentile interval is too narrow when there are few; Hesterberg (2015, "What teachers
    should know about the bootstrap", expanded percentile) widens it to what Student's t has.
    """
    t = student_quantile(0.975, clusters - 1)
    return NormalDist().cdf(-math.sqrt(clusters / (clusters - 1)) * t)


def compare(before: Sequence[Score], after: Sequence[Score], seed: int = 0) -> Comparison:
    """Compare two arms over the same holes in the same order.

    Holes of a commit are alike, so whole commits are drawn (a paired cluster bootstrap). With
    fewer than two commits the intervals are infinite: nothing can be said.

    :raises ValueError: the arms differ in length, or there is nothing to compare.
    """
    if not before or len(before) != len(after):
        raise ValueError("two arms over the same holes are needed")
    commits = {oid: i for i, oid in enumerate(dict.fromkeys(s.commit for s in before))}
    # Per commit: sums of the differences of EM, ES and NLL, holes, tokens.
    sums = np.zeros((len(commits), 5))
    for old, new in zip(before, after, strict=True):
        sums[commits[old.commit]] += (
            new.em - old.em,
            new.es - old.es,
            new.nll - old.nll,
            1,
            old.tokens,
        )
    won = sum(n.em > o.em for o, n in zip(before, after, strict=True))
    lost = sum(n.em < o.em for o, n in zip(before, after, strict=True))
    draws: np.ndarray = np.empty((0, len(commits)))
    if len(commits) > 1:
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(len(commits), [1 / len(commits)] * len(commits), size=RESAMPLES)
    resampled, total = draws @ sums, sums.sum(axis=0)
    em, es, nll = (
        _interval(
            float(total[i] / max(total[n], 1)), resampled[:, i], resampled[:, n], len(commits)
        )
        for i, n in ((0, 3), (1, 3), (2, 4))
    )
    return Comparison(em, es, nll, won, lost, mcnemar(won, lost))


def _interval(value: float, sums: np.ndarray, counts: np.ndarray, clusters: int) -> Interval:
    if clusters < 2:
        return Interval(value, -math.inf, math.inf)
    tail = _tail(clusters)
    low, high = np.quantile(sums / np.maximum(counts, 1), [tail, 1 - tail])
    return Interval(value, float(low), float(high))
