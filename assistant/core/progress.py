"""Progress of long work: a bar on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from git_copilot.assistant.core.terminal import CLEAR_LINE, Stream

# Without a terminal: seconds until the first line, and between lines.
FIRST_SECONDS, EVERY_SECONDS = 10.0, 30.0
# Work that took less says little about the rest.
MIN_ESTIMATED_SECONDS = 2.0


def duration(seconds: float) -> str:
    """A time for a person, such as ``40 s`` or ``2 min 5 s``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


class ProgressBar:
    """A :class:`~git_copilot.index.core.types.Progress` for people.

    On a terminal, one line that is overwritten. Elsewhere (a log, a build server), lines written by
    a thread, so that work that reports nothing for minutes shows as well.
    """

    WIDTH = 24

    def __init__(
        self,
        err: Stream,
        first: float = FIRST_SECONDS,
        every: float = EVERY_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """:param now: gives seconds."""
        self._err = err
        self._every = every
        self._now = now
        self._begun = now()
        self._next = self._begun + first
        self._last = ""
        self._state: tuple[str, int, int] = ("", 0, 0)
        # When the work of this label began, and how much of it was done then.
        self._work: tuple[float, int] = (self._begun, 0)
        self._done = threading.Event()
        self._teller: threading.Thread | None = None

    def __call__(self, label: str, done: int, total: int) -> None:
        if label != self._state[0] or done < self._state[1]:
            self._work = self._now(), done
        self._state = label, done, total
        if self._err.screen:
            self._draw(label, done, total)
        elif self._teller is None:
            self._done.clear()
            self._teller = threading.Thread(target=self._tell, daemon=True)
            self._teller.start()

    def _draw(self, label: str, done: int, total: int) -> None:
        if total:
            filled = self.WIDTH * min(done, total) // total
            line = f"{label} [{'#' * filled}{'.' * (self.WIDTH - filled)}] {done}/{total}"
            line += self._left(done, total)
        else:
            line = f"{label} …"
        if line != self._last:
            self._last = line
            self._err.write(f"{CLEAR_LINE}{line}")
            self._err.flush()

    def _left(self, done: int, total: int) -> str:
        """The time that the rest of this label's work takes, as far as it can be told."""
        begun, before = self._work
        seconds = self._now() - begun
        if not before < done < total or seconds < MIN_ESTIMATED_SECONDS:
            return ""
        return f", about {duration(seconds / (done - before) * (total - done))} left"

    def _tell(self) -> None:
        while not self._done.wait(max(0.0, self._next - self._now())):
            self._next = self._now() + self._every
            label, done, total = self._state
            count = f" {done}/{total}" if total else ""
            seconds = self._now() - self._begun
            left = self._left(done, total)
            with contextlib.suppress(OSError, ValueError):  # there is no reader
                self._err.write(f"git-copilot: {label}{count}, {seconds:.0f} s so far{left}\n")
                self._err.flush()

    def finish(self) -> None:
        """Clear the line, or stop writing lines until there is more work."""
        if self._teller is not None:
            self._done.set()
            self._teller.join()
            self._teller = None
        if self._last:
            self._err.write(CLEAR_LINE)
            self._err.flush()
            self._last = ""
