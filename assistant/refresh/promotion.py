"""Decides whether a candidate is promoted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from git_copilot.assistant.dataset.split import MIN_COMMITS, MIN_HOLES
from git_copilot.assistant.evaluation.metrics import Comparison, Score, compare

# A gain that is significant but too small to notice is no reason for a change: with 0.02 nats a
# token is 2% more likely.
MIN_NLL_GAIN = 0.02


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision, one sentence for a person, and the comparison behind it."""

    promoted: bool
    reason: str
    comparison: Comparison


def is_harmful(base: Sequence[Score], incumbent: Sequence[Score], seed: int = 0) -> bool:
    """Whether the adapter in use completes later commits significantly worse than the base model:
    less exactly, or making them less likely by more than :data:`MIN_NLL_GAIN`.

    It won on the commits before them, so this is a wrong promotion, or one that time has made
    wrong.

    :param base: scores over the same holes in the same order, as for :func:`decide`.
    """
    if len(incumbent) < MIN_HOLES or len({s.commit for s in incumbent}) < MIN_COMMITS:
        return False
    found = compare(base, incumbent, seed)
    less_exact = found.completed and found.em.high < 0 and found.p_value < 0.05
    return less_exact or (found.nll.low > 0 and found.nll.value >= MIN_NLL_GAIN)


def decide(
    base: Sequence[Score],
    incumbent: Sequence[Score] | None,
    candidate: Sequence[Score],
    *,
    guard_passed: bool,
    seed: int = 0,
) -> Decision:
    """Promote only a candidate that wins on held-out holes and harms nothing else.

    It competes with the incumbent where there is one, else with the base. All arms are stopped by
    the same rules, so learning to stop gains nothing (the trap of arXiv 2503.14201). The candidate
    wins when its exact match is significantly better, or when exact match is not worse, edit
    similarity not significantly worse, and the likelihood of the middle *without* its end token
    significantly better. Significant: zero is outside the 95% interval, resampled by commit.

    :param base: scores with retrieval, over the same holes in the same order as the others.
    """
    comparison = compare(base if incumbent is None else incumbent, candidate, seed)
    name = "the base model" if incumbent is None else "the adapter in use"
    against_base = comparison if incumbent is None else compare(base, candidate, seed)
    commits = len({s.commit for s in candidate})

    def no(reason: str) -> Decision:
        return Decision(False, reason, comparison)

    if len(candidate) < MIN_HOLES or commits < MIN_COMMITS:
        return no(
            f"{len(candidate)} held-out holes from {commits} commits are too few to decide"
            f" ({MIN_HOLES} from {MIN_COMMITS} are needed)"
        )
    if not guard_passed:
        return no("it makes code outside this repository less likely")
    if against_base.em.value < 0 or against_base.nll.value > 0:
        return no("it is worse than the base model on later commits")
    if not comparison.completed:
        return no("its completions were not measured")
    em, nll = comparison.em, comparison.nll
    shown = (
        f"{em.value:+.1f} points of exact match over {name} (95% {em.low:+.1f} to {em.high:+.1f})"
    )
    if em.low > 0 and comparison.p_value < 0.05:
        return Decision(True, f"{shown} on {len(candidate)} later holes", comparison)
    if comparison.es.high < 0:
        return no(f"{shown}, and its completions are further from what was written")
    if em.value >= 0 and nll.high < 0 and nll.value <= -MIN_NLL_GAIN:
        return Decision(
            True,
            f"{shown}, and later code is more likely by {-nll.value:.3f} nats a token"
            f" (95% {-nll.high:.3f} to {-nll.low:.3f})",
            comparison,
        )
    if em.value < 0:
        return no(f"{shown}: it completes later commits less exactly")
    return no(f"{shown}: no better than chance would give")
