"""How likely a person is to take a proposal: a logistic function of what its tokens cost.

The weights are fitted by bench/seed/confidence.py for one model, on places of histories that it was
not trained on; they stand with its copy weights (copy_weights.py). A model without them has no
confidence, and everything that it writes is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class LineCost:
    """What the text up to the end of a line costs: nats, with those of the line end or of the end
    of the text, and the number of its
    tokens."""

    nats: float
    tokens: int


@dataclass(frozen=True, slots=True)
class ConfidenceWeights:
    """The weights of: nothing, the nats of the text with the line end or end behind it, their
    square root, their mean over the tokens, the logarithm of the number of tokens, more than one
    line, and a line that the search found besides the best."""

    bias: float
    nats: float
    root: float
    mean: float
    log_tokens: float
    several_lines: float
    alternative: float

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """:raises TypeError, ValueError: a weight is missing, unknown or no number."""
        return cls(**{name: float(value) for name, value in facts.items()})

    def confidence(self, cost: LineCost, *, lines: int, alternative: bool) -> float:
        """The probability that a proposal is acceptable, between 0 and 1."""
        values = features(cost, lines=lines, alternative=alternative)
        total = sum(getattr(self, f.name) * v for f, v in zip(fields(self), values, strict=True))
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def features(cost: LineCost, *, lines: int, alternative: bool) -> tuple[float, ...]:
    """What the weights are multiplied with, in their order."""
    nats = max(cost.nats, 0.0)
    return (
        1.0,
        nats,
        math.sqrt(nats),
        nats / (cost.tokens + 1),
        math.log(cost.tokens + 1),
        float(lines > 1),
        float(alternative),
    )
