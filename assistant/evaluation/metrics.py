"""Scores of completions, and tests of the difference between two sets of scores. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Score:
    """The scores of one hole.

    ``em`` and ``es`` are 0 to 100; both are 0 and say nothing unless ``completed``. ``nll`` is the
    summed negative log-likelihood (nats) of the ``tokens`` tokens of the middle, ``end_nll`` that
    of the end token after them.
    """

    commit: str
    em: float
    es: float
    nll: float
    end_nll: float
    tokens: int
    completed: bool = True


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """Mean ``em`` and ``es`` in %, and mean ``nll`` in nats per token, end token included; ``None``
    for what was not measured."""

    em: float | None
    es: float | None
    nll: float | None

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


NOT_MEASURED = ScoreSummary(None, None, None)


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference with its 95% confidence interval."""

    value: float
    low: float
    high: float

    def ends(self) -> list[float | None]:
        """Both ends for JSON, which knows no infinity: an interval that says nothing has none."""
        return [round(end, 4) if math.isfinite(end) else None for end in (self.low, self.high)]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two arms over the same holes, second minus first.

    ``em`` and ``es`` are in points, ``nll`` in nats per token of the middle *without* the end token
    (negative is better), ``p_value`` is McNemar's for exact match. Unless ``completed``, only the
    likelihood was compared, and what is said of exact match and edit similarity is 0.
    """

    em: Interval
    es: Interval
    nll: Interval
    won: int
    lost: int
    p_value: float
    completed: bool = True

    def to_json(self) -> dict[str, Any]:
        done = self.completed
        return {
            "delta_em": round(self.em.value, 3) if done else None,
            "ci95": self.em.ends() if done else [None, None],
            "p_value": round(self.p_value, 6) if done else None,
            "won": self.won if done else None,
            "lost": self.lost if done else None,
            "delta_es": round(self.es.value, 3) if done else None,
            "es_ci95": self.es.ends() if done else [None, None],
            "delta_middle_nll": round(self.nll.value, 5),
            "middle_nll_ci95": self.nll.ends(),
        }


def exact_match(completion: str, middle: str) -> float:
    """100 when the texts are equal but for white space at the end, else 0."""
    return 100.0 if completion.rstrip() == middle.rstrip() else 0.0


def edit_similarity(completion: str, middle: str) -> float:
    """100 · (1 - Levenshtein distance / longer length), in characters; white space at the ends of
    the texts is left out."""
    first, second = completion.rstrip(), middle.rstrip()
    longest = max(len(first), len(second))
    return 100.0 * (1 - Levenshtein.distance(first, second) / longest) if longest else 100.0


def summarise(scores: Sequence[Score]) -> ScoreSummary:
    """The means of one arm; 0 without scores."""
    if not scores:
        return ScoreSummary(0.0, 0.0, 0.0)
    count = len(scores)
    completed = all(s.completed for s in scores)
    return ScoreSummary(
        em=round(sum(s.em for s in scores) / count, 3) if completed else None,
        es=round(sum(s.es for s in scores) / count, 3) if completed else None,
        nll=mean_nll(scores),
    )


def mean_nll(scores: Sequence[Score]) -> float:
    """Nats per token of the middle and the end token; 0 without scores."""
    tokens = sum(s.tokens + 1 for s in scores)
    return round(sum(s.nll + s.end_nll for s in scores) / max(tokens, 1), 5)


def middle_nll(scores: Sequence[Score]) -> float:
    """Nats per token of the middle, without the end token; 0 without scores."""
    return round(sum(s.nll for s in scores) / max(sum(s.tokens for s in scores), 1), 5)


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p-value of McNemar's test from the discordant pairs."""
    total = won + lost
    tail = sum(math.comb(total, k) for k in range(min(won, lost) + 1)) / 2**total
    return float(min(1.0, 2 * tail))


def _tail(clusters: int) -> float:
    """The share to cut off at each end for a 95% interval from this number of clusters.

    A percentile interval of few clusters is too narrow; Hesterberg (2015, "What teachers should
    know about the bootstrap", expanded percentile) widens it to that of Student's t.
    """
    from scipy.stats import t  # most of a second to import

    quantile = float(t.ppf(0.975, clusters - 1))
    return NormalDist().cdf(-math.sqrt(clusters / (clusters - 1)) * quantile)


def compare(
    before: Sequence[Score], after: Sequence[Score], seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Compare two arms over the same holes in the same order.

    Holes of a commit are alike, so whole commits are resampled (a paired cluster bootstrap). With
    fewer than two commits the intervals are infinite. Where a hole was not completed in an arm,
    exact match and edit similarity are not compared at all.

    :raises ValueError: the arms differ in length, or there is nothing to compare.
    """
    if not before or len(before) != len(after):
        raise ValueError("the two arms must cover the same holes, and at least one")
    commits = {oid: i for i, oid in enumerate(dict.fromkeys(s.commit for s in before))}
    # Per commit: sums of the differences of EM, ES and NLL, holes, tokens.
    sums = np.zeros((len(commits), 5))
    completed = all(s.completed for s in (*before, *after))
    for old, new in zip(before, after, strict=True):
        sums[commits[old.commit]] += (
            new.em - old.em if completed else 0.0,
            new.es - old.es if completed else 0.0,
            new.nll - old.nll,
            1,
            old.tokens,
        )
    won = lost = 0
    if completed:
        won = sum(n.em > o.em for o, n in zip(before, after, strict=True))
        lost = sum(n.em < o.em for o, n in zip(before, after, strict=True))
    resampled, total = _draws(len(commits), seed, resamples) @ sums, sums.sum(axis=0)
    em, es, nll = (
        _interval(
            float(total[i] / max(total[n], 1)), resampled[:, i], resampled[:, n], len(commits)
        )
        for i, n in ((0, 3), (1, 3), (2, 4))
    )
    return Comparison(em, es, nll, won, lost, mcnemar(won, lost), completed)


def paired_interval(
    differences: Sequence[tuple[str, float, float]], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """The sum of differences over that of their sizes, resampled like :func:`compare`.

    :param differences: for each hole its commit, the difference and the size.
    :raises ValueError: there is nothing to compare.
    """
    if not differences:
        raise ValueError("a difference of no holes")
    commits = {oid: i for i, oid in enumerate(dict.fromkeys(oid for oid, _, _ in differences))}
    sums = np.zeros((len(commits), 2))
    for oid, difference, size in differences:
        sums[commits[oid]] += difference, size
    resampled, total = _draws(len(commits), seed, resamples) @ sums, sums.sum(axis=0)
    value = float(total[0] / max(total[1], 1))
    return _interval(value, resampled[:, 0], resampled[:, 1], len(commits))


def _draws(clusters: int, seed: int, resamples: int) -> np.ndarray:
    """How often each cluster is drawn, of shape (resamples, clusters); none of a single one."""
    if clusters < 2:
        return np.empty((0, clusters))
    rng = np.random.default_rng(seed)
    return rng.multinomial(clusters, [1 / clusters] * clusters, size=resamples)


def _interval(value: float, sums: np.ndarray, counts: np.ndarray, clusters: int) -> Interval:
    if clusters < 2:
        return Interval(value, -math.inf, math.inf)
    tail = _tail(clusters)
    low, high = np.quantile(sums / np.maximum(counts, 1), [tail, 1 - tail])
    return Interval(value, float(low), float(high))
