"""The time of one refresh: how long it may take, and how long it has taken."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from git_copilot.assistant.core.progress import duration
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Progress


class TooLittleTime(CopilotError):
    """The time limit of a refresh does not suffice for a decision."""


class RefusedPlan(TooLittleTime):
    """No useful plan fits into the time limit: nothing was begun."""


@dataclass(frozen=True, slots=True)
class RunClock:
    """``begun`` is a reading of ``now``; ``limit`` is in seconds, ``None``: as long as it takes."""

    begun: float
    limit: float | None = None
    now: Callable[[], float] = time.monotonic

    @classmethod
    def start(
        cls, limit: float | None = None, now: Callable[[], float] = time.monotonic
    ) -> RunClock:
        """A clock that starts now."""
        return cls(now(), limit, now)

    def elapsed(self) -> float:
        """Seconds since the refresh began."""
        return self.now() - self.begun

    def left(self, share: float = 1.0) -> float:
        """Seconds until ``share`` of the limit has passed; infinite without a limit."""
        return math.inf if self.limit is None else self.limit * share - self.elapsed()

    def bounded(self, progress: Progress) -> Progress:
        """``progress`` for reading the history, which can be continued: it raises
        :class:`TooLittleTime` once the limit has passed."""

        def watched(label: str, done: int, total: int) -> None:
            progress(label, done, total)
            if self.left() <= 0:
                raise TooLittleTime(
                    f"reading the history was not finished after {duration(self.elapsed())}",
                    "repeat the command: it continues from here; or allow more `--minutes`",
                )

        return watched
