"""Whether a model prefers to write nothing: ending at once against the first line of its text."""

from __future__ import annotations

from collections.abc import Iterable

import torch

# An end at once below one in a hundred (in nats) is no choice, however long the line is.
MAX_END_NATS = 4.6


class EmptyMargin:
    """Adds up the cost of a text, in nats, token by token, until its first line is whole."""

    def __init__(self, end_ids: Iterable[int]) -> None:
        """:param end_ids: ids of the tokens that end a text."""
        self._end_ids = sorted(end_ids)
        self._end_cost: float | None = None
        self._line_cost = 0.0
        self._whole = False

    def add(self, token: int, logits: torch.Tensor, written: str) -> None:
        """Take the choice of ``token`` from ``logits`` (vocabulary,) behind ``written``."""
        if self._whole:
            return
        logits = logits.float()
        total = torch.logsumexp(logits, dim=0)
        if self._end_cost is None:
            self._end_cost = float(total - torch.logsumexp(logits[self._end_ids], dim=0))
        if "\n" in written.lstrip():
            self._whole = True
        else:
            chosen = self._end_ids if token in self._end_ids else [token]
            self._line_cost += float(total - torch.logsumexp(logits[chosen], dim=0))
            self._whole = token in self._end_ids

    def replace_line(self, cost: float) -> None:
        """Take another line, of this cost, in place of the one that was written."""
        self._line_cost = cost

    @property
    def value(self) -> float | None:
        """By how much the line costs more than nothing; 0 where nothing costs
        :data:`MAX_END_NATS` or more, ``None`` before a token was chosen."""
        if self._end_cost is None:
            return None
        return self._line_cost - self._end_cost if self._end_cost < MAX_END_NATS else 0.0
