"""How many threads a forward pass of few rows gets, by what it took lately.

Decoding is bound by memory, which one core may saturate, and its many short products wait for the
slowest thread: beside a busy process two threads take longer than one. Nothing but time tells.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

# Times of this many passes are compared, and the slower number of threads is tried once in this
# many passes.
_REMEMBERED, _RETRIED = 5, 24
# More threads are worth their power and their risk if they save this share of the time.
_WORTH = 0.95


class ThreadChooser:
    """Chooses between one thread and all that torch uses, for each number of rows."""

    def __init__(
        self, most: int | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._most = torch.get_num_threads() if most is None else most
        self._clock = clock
        self._times: dict[tuple[int, int], deque[float]] = {}
        self._passes: dict[int, int] = {}

    def choose(self, rows: int) -> int:
        """The number of threads for the next pass."""
        alone, all_of_them = self._recent(rows, 1), self._recent(rows, self._most)
        if self._most == 1 or min(len(alone), len(all_of_them)) < _REMEMBERED // 2 + 1:
            return self._most if len(all_of_them) <= len(alone) else 1
        worth = statistics.median(all_of_them) < _WORTH * statistics.median(alone)
        best, other = (self._most, 1) if worth else (1, self._most)
        return other if self._passes[rows] % _RETRIED == 0 else best

    @contextmanager
    def threads_for(self, rows: int) -> Iterator[None]:
        """Run a pass of ``rows`` rows with the chosen number of threads, and time it."""
        chosen = self.choose(rows)
        if chosen != self._most:
            torch.set_num_threads(chosen)
        begun = self._clock()
        try:
            yield
        finally:
            self._recent(rows, chosen).append(self._clock() - begun)
            self._passes[rows] = self._passes.get(rows, 0) + 1
            if chosen != self._most:
                torch.set_num_threads(self._most)

    def _recent(self, rows: int, threads: int) -> deque[float]:
        return self._times.setdefault((rows, threads), deque(maxlen=_REMEMBERED))
