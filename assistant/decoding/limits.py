"""How long generating may take, and how fast prompts are read."""

from __future__ import annotations

import time
from collections.abc import Callable

_WEIGHT = 0.3  # of the newest measurement in the mean
# A rate stays as it was reported until it is wrong by this: prompts are cut by it, and should stay
# too.
_STEADY = 0.25


class PrefillRate:
    """Tokens of a prompt that are read in a second: a moving average, reported in steps.

    ``tokens_per_second`` is ``None`` before anything was read.
    """

    def __init__(self) -> None:
        self.tokens_per_second: float | None = None
        self._mean = 0.0

    def note(self, rate: float) -> None:
        """Take a measurement, in tokens a second, into the mean."""
        said = self.tokens_per_second
        self._mean = rate if said is None else self._mean + _WEIGHT * (rate - self._mean)
        if said is None or abs(self._mean / said - 1) > _STEADY:
            self.tokens_per_second = self._mean


def out_of_time(begun: float, limit_ms: int, cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """Whether to end: the time since ``begun`` is over, or the caller has gone.

    :param begun: a reading of ``time.perf_counter``.
    :param limit_ms: 0: no bound.
    """

    def over() -> bool:
        late = limit_ms > 0 and (time.perf_counter() - begun) * 1000 >= limit_ms
        return late or cancelled()

    return over
