"""Best-first search for the likeliest rest of a line, from the greedy one on.

Greedy decoding does not find the most likely line. At every token of the greedy line other tokens
begin lines that may win as a whole. These hypotheses are expanded best first, several per forward
pass, until none can win or the token budget is spent (best-first beam search: Meister et al. 2020,
arXiv 2007.03909, without a beam). A line that the model was sure of costs nothing.

The most likely line of all is too short, since each token makes a line less likely; a reward for
each token makes up for it (Murray & Chiang 2018, arXiv 1808.10006). It is one of a model's copy
weights (copy_weights.py); a model without it answers greedily.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from git_copilot.assistant.decoding.copy_source import CopySource

# Continuations that are considered of each hypothesis.
WIDTH = 3
# Tokens that the model is sure of cost less than their reward: a hypothesis that is behind by the
# reward of this many may still win.
SLACK_TOKENS = 3
# Hypotheses per forward pass, which reads all weights for one as for four.
BATCH = 4


@dataclass(frozen=True, slots=True, order=True)
class Hypothesis:
    """Tokens and their cost: their nats, with an end behind them once the line is whole, less the
    reward. ``copied`` has the paths of tokens that the model alone would not have written. Ordered
    by cost, then by tokens, so that the order in which hypotheses are found does not matter.
    ``nats`` has those of each token, and of the end once the line is whole."""

    cost: float = 0.0
    ids: tuple[int, ...] = ()
    copied: tuple[str, ...] = ()
    nats: tuple[float, ...] = field(default=(), compare=False)


class BestFirstSearch:
    """The best line so far at one cursor, all ``whole`` lines, and a queue of open hypotheses."""

    def __init__(self, source: CopySource, reward: float) -> None:
        """:param reward: nats for each token."""
        self.best = Hypothesis(cost=float("inf"))
        self.whole: list[Hypothesis] = []
        self._source, self._reward, self._slack = source, reward, SLACK_TOKENS * reward
        self._finishing = torch.tensor(source.finishing_ids)
        self._leaving = torch.tensor(source.leaving_ids)
        self._open: list[Hypothesis] = []

    def expand(
        self, hypothesis: Hypothesis, logits: torch.Tensor, mixed: torch.Tensor, written: str
    ) -> Hypothesis:
        """Take what may follow ``hypothesis``, the text ``written``: an end, or more of its line.

        :param logits: the model's (vocabulary,), and ``mixed`` with what may be copied.
        :return: ``hypothesis`` with the likeliest token that continues the line.
        """
        nats = -torch.log_softmax(mixed.float(), dim=0)
        if written.strip():
            end = -float(torch.logsumexp(-nats[self._finishing], dim=0))
            line = Hypothesis(
                hypothesis.cost + end, hypothesis.ids, hypothesis.copied, (*hypothesis.nats, end)
            )
            self.whole.append(line)
            if line.cost < self.best.cost:
                self.best = line
        nats[self._leaving] = torch.inf
        costs, tokens = (found.tolist() for found in nats.topk(WIDTH, largest=False))
        own = logits.topk(WIDTH).indices.tolist()
        longer = []
        for i, (cost, token) in enumerate(zip(costs, tokens, strict=True)):
            origin = "" if token in own[: 1 if i == 0 else WIDTH] else self._source.origin(token)
            copied = (*hypothesis.copied, origin) if origin else hypothesis.copied
            total = hypothesis.cost + cost - self._reward
            ids = (*hypothesis.ids, token)
            longer.append(Hypothesis(total, ids, copied, (*hypothesis.nats, cost)))
        for other in longer[1:]:
            self.push(other)
        return longer[0]

    def cost(self, hypothesis: Hypothesis) -> float:
        """The nats of a hypothesis, without the reward."""
        return hypothesis.cost + self._reward * len(hypothesis.ids)

    def can_win(self, hypothesis: Hypothesis) -> bool:
        """Whether a hypothesis is not too far behind the best line."""
        return hypothesis.cost < self.best.cost + self._slack

    def push(self, hypothesis: Hypothesis) -> None:
        """Queue a hypothesis."""
        if self.can_win(hypothesis):
            heapq.heappush(self._open, hypothesis)

    def run(
        self,
        forward: Callable[[list[tuple[int, ...]]], torch.Tensor],
        decode: Callable[[list[int]], str],
        max_read: int,
        expired: Callable[[], bool],
        max_length: int,
    ) -> int:
        """Expand hypotheses, several per forward pass, until none can win.

        :param forward: gives the logits (texts, vocabulary) behind the tokens of each.
        :param max_read: tokens to read at most.
        :param expired: true ends the search early.
        :param max_length: tokens of a line at most.
        :return: the tokens that were read.
        """
        read, batch = 0, list[Hypothesis]()
        while not expired():
            batch = [each for each in batch if self.can_win(each)]
            while self._open and len(batch) < BATCH:
                hypothesis = heapq.heappop(self._open)
                if self.can_win(hypothesis):
                    batch.append(hypothesis)
            batch = [each for each in batch if len(each.ids) <= max_length][: max_read - read]
            if not batch:
                break
            read += len(batch)
            rows = forward([each.ids for each in batch])
            for i, (each, logits) in enumerate(zip(batch, rows, strict=True)):
                written = decode(list(each.ids))
                batch[i] = self.expand(each, logits, self._source.mix(logits, written), written)
        return read
