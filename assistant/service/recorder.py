"""Lets a report on an answer wait until the answer was recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# An answer is recorded within this time, or not at all.
RECORD_SECONDS = 1.0


class Recorder:
    """Counts answers that are being sent and recorded: a report on one may arrive at once.
    Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = 0

    @contextmanager
    def sending(self, count: int) -> Iterator[None]:
        """An answer goes out, and ``count`` actions follow."""
        with self._changed:
            self._open += count
        try:
            yield
        finally:
            with self._changed:
                self._open -= count
                self._changed.notify_all()

    def wait(self) -> None:
        """Until every answer that was sent is recorded, at most :data:`RECORD_SECONDS`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, RECORD_SECONDS)
