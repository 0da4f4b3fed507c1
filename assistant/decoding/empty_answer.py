"""Whether a model would rather write nothing: the end at once against the first line of its text."""

from __future__ import annotations

from collections.abc import Iterable

import torch

# An end at once that is rarer than one in a hundred is no choice, however long the line is: in nats.
RARE = 4.6


class EmptyAnswerScore:
    """Adds up what a text costs, token by token, until its first line is whole. Costs are in nats."""

    def __init__(self, ends: Iterable[int]) -> None:
        """:param ends: ids of the tokens that end a text."""
        self._ends = sorted(ends)
        self._nothing: float | None = None
        self._line = 0.0
        self._whole = False

    def note(self, token: int, logits: torch.Tensor, written: str) -> None:
        """Take the choice of ``token`` from ``logits`` (vocabulary,) behind the text ``written``."""
        if self._whole:
            return
        logits = logits.float()
        total = torch.logsumexp(logits, dim=0)
        if self._nothing is None:
            self._nothing = float(total - torch.logsumexp(logits[self._ends], dim=0))
        if "\n" in written.lstrip():
            self._whole = True
        else:
            chosen = self._ends if token in self._ends else [token]
            self._line += float(total - torch.logsumexp(logits[chosen], dim=0))
            self._whole = token in self._ends

    def instead(self, cost: float) -> None:
        """Take another line, of this cost, in the place of the one that was written."""
        self._line = cost

    @property
    def value(self) -> float | None:
        """By how much the line costs more than nothing, 0 where that is :data:`RARE`; ``None`` when
        no token was chosen."""
        if self._nothing is None:
            return None
        return self._line - self._nothing if self._nothing < RARE else 0.0
