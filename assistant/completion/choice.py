"""Chooses what is shown of all that a model wrote at one place, or nothing.

Proposals are the text, its first lines alone, and the other lines that the search found. One that
breaks a rule (plausibility.py) is left out; of the others that are likely enough to be taken, the
most useful wins. Rules are applied to the likeliest first, and to no more than are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from git_copilot.assistant.decoding.confidence import LineCost
from git_copilot.assistant.decoding.generation import Generation
from git_copilot.assistant.postprocess.plausibility import Plausibility
from git_copilot.assistant.postprocess.trim import TrimmedText

if TYPE_CHECKING:
    from git_copilot.assistant.decoding.confidence import ConfidenceWeights

# Of so many proposals, the likeliest, the rules are applied to one after the other.
MAX_JUDGED = 6


@dataclass(frozen=True, slots=True)
class Proposal:
    """A text that could be shown: trimmed, the rule that cut it, and the ``faults`` that are known
    of it (``None``: not judged). ``confidence`` is ``None`` where the model has no weights for it.
    ``copied`` as in :class:`~git_copilot.assistant.decoding.generation.Generation`."""

    text: str
    rule: str | None
    cost: LineCost | None
    copied: tuple[str, ...] = ()
    alternative: bool = False
    confidence: float | None = None
    faults: tuple[str, ...] | None = None

    @property
    def use(self) -> float:
        """What it is worth to a person: longer texts save more, and are read with more care."""
        return (self.confidence or 0.0) * math.sqrt(len(self.text.strip()))


@dataclass(frozen=True, slots=True)
class Choice:
    """The proposal that is shown, ``None`` for none; all ``proposals``, the best first; and why
    none is shown."""

    shown: Proposal | None
    proposals: tuple[Proposal, ...]
    reason: str | None = None


def proposals_of(
    generation: Generation, main: TrimmedText, trim: Callable[[str], TrimmedText]
) -> list[Proposal]:
    """The proposals of a generation, ``main`` first; without duplicates and empty texts.

    :param main: the generated text, trimmed.
    :param trim: trims another line.
    """
    found: dict[str, Proposal] = {}
    lines, costs = main.text.split("\n"), generation.lines
    for count in range(len(lines), 0, -1):
        text = main.text if count == len(lines) else "\n".join(lines[:count]).rstrip()
        if text.strip():
            cost = costs[min(count, len(costs)) - 1] if costs else None
            proposal = Proposal(text, main.rule, cost, generation.copied)
            found.setdefault(text.rstrip(), proposal)
    # Where the rules left nothing of the likeliest line, nothing is wanted.
    for other in generation.alternatives if found else ():
        cut = trim(other.text)
        if cut.text.strip():
            cost = LineCost(other.nats, other.tokens)
            proposal = Proposal(cut.text, cut.rule, cost, other.copied, alternative=True)
            found.setdefault(cut.text.rstrip(), proposal)
    return list(found.values())


def choose(
    proposals: list[Proposal],
    weights: ConfidenceWeights | None,
    plausibility: Plausibility | None,
    threshold: float,
) -> Choice:
    """Choose among ``proposals``, the first of which is the model's own choice.

    :param weights: without them the first is shown.
    :param plausibility: the rules at the place; ``None``: none are applied.
    :param threshold: the least confidence that is shown; 0: the best is shown whatever is wrong
        with it.
    """
    if weights is None or not proposals or any(each.cost is None for each in proposals):
        return Choice(proposals[0] if proposals else None, tuple(proposals[:1]))
    ranked = sorted((_rated(each, weights) for each in proposals), key=lambda each: -each.use)
    judged: list[Proposal] = []
    shown: Proposal | None = None
    for each in ranked:
        enough = (each.confidence or 0.0) >= threshold
        if shown is None and enough and len(judged) < MAX_JUDGED and plausibility is not None:
            each = _judged(each, plausibility)
            judged.append(each)
        if shown is None and enough and not each.faults:
            shown = each
    known = {each.text: each for each in judged}
    ranked = [known.get(each.text, each) for each in ranked]
    if shown is not None or not threshold:
        return Choice(shown or ranked[0], tuple(ranked))
    if judged:
        faults = ", ".join(judged[0].faults or ())
        return Choice(None, tuple(ranked), f"the likeliest proposal breaks a rule ({faults})")
    best = max(each.confidence or 0.0 for each in ranked)
    reason = f"the best proposal has a confidence of {best:.0%}, less than copilot.confidence"
    return Choice(None, tuple(ranked), reason)


def _rated(proposal: Proposal, weights: ConfidenceWeights) -> Proposal:
    assert proposal.cost is not None
    lines = proposal.text.strip("\n").count("\n") + 1
    confidence = weights.confidence(proposal.cost, lines=lines, alternative=proposal.alternative)
    return replace(proposal, confidence=confidence)


def _judged(proposal: Proposal, plausibility: Plausibility) -> Proposal:
    return replace(proposal, faults=plausibility.faults(proposal.text))
