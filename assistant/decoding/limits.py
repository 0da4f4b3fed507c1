"""Time limits of a generation, and the measured speed of prefill."""

from __future__ import annotations

import time
from collections.abc import Callable

_WEIGHT = 0.3  # of the newest measurement in the mean
# The reported rate changes only when it is wrong by this: prompts are cut by it, and should not
# change either.
_TOLERANCE = 0.25


class PrefillRate:
    """Prompt tokens read per second: a moving average, reported in steps.

    ``tokens_per_second`` is ``None`` before the first measurement.
    """

    def __init__(self) -> None:
        self.tokens_per_second: float | None = None
        self._mean = 0.0

    def add(self, rate: float) -> None:
        """Take a measurement, in tokens per second, into the mean."""
        reported = self.tokens_per_second
        self._mean = rate if reported is None else self._mean + _WEIGHT * (rate - self._mean)
        if reported is None or abs(self._mean / reported - 1) > _TOLERANCE:
            self.tokens_per_second = self._mean


def stop_condition(
    begun: float, limit_ms: int, is_cancelled: Callable[[], bool]
) -> Callable[[], bool]:
    """A function that says whether to stop: the time is over, or the caller has cancelled.

    :param begun: a reading of ``time.perf_counter``, in seconds.
    :param limit_ms: from ``begun`` on; 0: no limit.
    """

    def expired() -> bool:
        late = limit_ms > 0 and (time.perf_counter() - begun) * 1000 >= limit_ms
        return late or is_cancelled()

    return expired
