"""What each arm wrote at each hole, and what is counted from it. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.metrics import Comparison, Score, compare
from git_copilot.index.core.types import Hole

# Names of arms.
BASE, BASE_PLAIN = "base model + retrieval", "base model"
ADAPTER, ADAPTER_PLAIN = "adapter + retrieval", "adapter"
IN_USE = "adapter in use + retrieval"


def control_name(name: str) -> str:
    """The arm of an adapter that was made elsewhere."""
    return f"control {name} + retrieval"


# Smaller groups say nothing.
MIN_GROUP = 10
MAX_GROUPS = 8
# The chance to find a gain of the smallest size that is told.
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Answer:
    """One arm's completion of one hole."""

    text: str
    score: Score


@dataclass(frozen=True, slots=True)
class HoleResult:
    """A hole with the lines around it, what was written there, and what each arm wrote. ``snippets``
    are the ``path:line`` of those in the prompts with retrieval; ``middle_bytes`` is the size of the
    text that likelihoods are of, closed pairs included."""

    hole: Hole
    before: str
    truth: str
    after: str
    snippets: tuple[str, ...]
    answers: Mapping[str, Answer]
    middle_bytes: int = 0

    @classmethod
    def of(cls, example: Example, answers: Mapping[str, Answer]) -> Self:
        """Of a held-out hole with its snippets."""
        return cls(
            hole=example.hole,
            before=example.prefix,
            truth=example.cut.inside(example.middle),
            after=example.cut.closers + example.suffix,
            snippets=tuple(f"{hit.path}:{hit.start_line}" for hit, _ in example.prompt.snippets),
            answers=answers,
            middle_bytes=len(example.middle.encode()),
        )

    def won(self, first: str, second: str) -> int:
        """1 where only ``second`` is exact, -1 where only ``first`` is, else 0."""
        scores = [self.answers[name].score.em > 0 for name in (second, first)]
        return int(scores[0]) - int(scores[1])


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the holes, and two arms compared on them."""

    name: str
    holes: int
    comparison: Comparison


def compare_arms(
    results: Sequence[HoleResult], first: str, second: str, seed: int = 0
) -> Comparison:
    """``second`` minus ``first`` on all holes.

    :raises ValueError: there are none.
    """
    before, after = ([result.answers[name].score for result in results] for name in (first, second))
    return compare(before, after, seed)


def groups_of(
    results: Sequence[HoleResult], key: Callable[[HoleResult], str], first: str, second: str
) -> list[Group]:
    """The arms compared in each of the largest groups of holes with the same ``key``."""
    counts = Counter(map(key, results))
    found = []
    for name, count in counts.most_common(MAX_GROUPS):
        part = [result for result in results if key(result) == name]
        if count >= MIN_GROUP and len({r.hole.commit for r in part}) > 1:
            found.append(Group(name, count, compare_arms(part, first, second)))
    return found


def odds_ratio(comparison: Comparison) -> float | None:
    """Holes won for each that was lost, the odds ratio of paired answers; ``None`` where none was
    lost."""
    return comparison.won / comparison.lost if comparison.lost else None


def smallest_gain(comparison: Comparison, holes: int) -> float:
    """The smallest gain of exact match, in points, that this many holes show in four of five
    evaluations, from the share of holes where the arms differ (Connor 1987, "Sample size for testing
    differences in proportions for the paired-sample design"). Where they differ nowhere, one hole is
    assumed.
    """
    differing = max(1, comparison.won + comparison.lost) / holes
    normal = NormalDist()
    return 100 * (normal.inv_cdf(0.975) + normal.inv_cdf(POWER)) * math.sqrt(differing / holes)
