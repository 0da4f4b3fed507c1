"""The likeliest rest of a line: best first, from the line that was written greedily on.

The most likely next token, again and again, is not the way to the most likely line. Beside every
token of the greedy line stand others with which a line began that may win as a whole. These are
gone on with, best first and some abreast, until none is left that can or so many tokens were read
(best-first beam search: Meister et al. 2020, arXiv 2007.03909, without a beam). A line that the model
was sure of costs nothing.

The most likely line of all is too short, since each token makes a line less likely: a reward for
each token makes up for it (Murray & Chiang 2018, arXiv 1808.10006). It is one of the weights of a
model (copy_weights.py); a model without it answers greedily.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from git_copilot.assistant.decoding.copy_model import CopySource

# Tokens that are looked at behind each beginning.
WIDTH = 3
# Tokens that the model is sure of cost less than their reward: a beginning that is behind by so many
# of them may still win.
SURE_TOKENS = 3
# Beginnings that are gone on with at once: each forward pass reads all weights, for one as for four.
ABREAST = 4


@dataclass(frozen=True, slots=True, order=True)
class Hypothesis:
    """Tokens and their cost: the nats that they take, with an end behind them once the line is
    whole, less the reward. ``copied`` are the paths that tokens came from which the model alone
    would not have written. In order of cost; of equal ones the tokens decide, so that the order of
    finding is no matter."""

    cost: float = 0.0
    ids: tuple[int, ...] = ()
    copied: tuple[str, ...] = ()


class BestFirstSearch:
    """The best line so far at one cursor, and the beginnings of others."""

    def __init__(self, source: CopySource, reward: float) -> None:
        """:param reward: nats for each token."""
        self.best = Hypothesis(cost=float("inf"))
        self._source, self._reward, self._slack = source, reward, SURE_TOKENS * reward
        self._finishing = torch.tensor(source.finishing)
        self._leaving = torch.tensor(source.leaving)
        self._open: list[Hypothesis] = []

    def note(
        self, begun: Hypothesis, logits: torch.Tensor, mixed: torch.Tensor, written: str
    ) -> Hypothesis:
        """Take what may follow ``begun``, the text ``written``: an end, or more of the same line.

        :param logits: the model's (vocabulary,), and ``mixed`` with what may be copied.
        :return: ``begun`` with the likeliest of the tokens that go on.
        """
        nats = -torch.log_softmax(mixed.float(), dim=0)
        if written.strip():
            cost = begun.cost - float(torch.logsumexp(-nats[self._finishing], dim=0))
            if cost < self.best.cost:
                self.best = Hypothesis(cost, begun.ids, begun.copied)
        nats[self._leaving] = torch.inf
        costs, tokens = (found.tolist() for found in nats.topk(WIDTH, largest=False))
        own = logits.topk(WIDTH).indices.tolist()
        ways = []
        for i, (cost, token) in enumerate(zip(costs, tokens, strict=True)):
            origin = "" if token in own[: 1 if i == 0 else WIDTH] else self._source.origin(token)
            copied = (*begun.copied, origin) if origin else begun.copied
            ways.append(Hypothesis(begun.cost + cost - self._reward, (*begun.ids, token), copied))
        for way in ways[1:]:
            self.leave(way)
        return ways[0]

    def nats(self, line: Hypothesis) -> float:
        """What a line costs without its reward."""
        return line.cost + self._reward * len(line.ids)

    def can_win(self, begun: Hypothesis) -> bool:
        """Whether a beginning is not too far behind the best line."""
        return begun.cost < self.best.cost + self._slack

    def leave(self, begun: Hypothesis) -> None:
        """Keep a beginning that is not gone on with now."""
        if self.can_win(begun):
            heapq.heappush(self._open, begun)

    def search(
        self,
        follow: Callable[[list[tuple[int, ...]]], torch.Tensor],
        decode: Callable[[list[int]], str],
        most: int,
        over: Callable[[], bool],
        longest: int,
    ) -> int:
        """Go on with beginnings, some of them abreast, until none can win, and note what comes of
        them.

        :param follow: gives the logits (texts, vocabulary) behind the tokens of each.
        :param most: tokens that are read.
        :param over: says whether to stop before that.
        :param longest: a line has at most so many tokens.
        :return: the tokens that were read.
        """
        read, going = 0, list[Hypothesis]()
        while not over():
            going = [way for way in going if self.can_win(way)]
            while self._open and len(going) < ABREAST:
                way = heapq.heappop(self._open)
                if self.can_win(way):
                    going.append(way)
            going = [way for way in going if len(way.ids) <= longest][: most - read]
            if not going:
                break
            read += len(going)
            rows = follow([way.ids for way in going])
            for i, (way, logits) in enumerate(zip(going, rows, strict=True)):
                written = decode(list(way.ids))
                going[i] = self.note(way, logits, self._source.mix(logits, written), written)
        return read
