"""Runs everything in one thread: what torch, OpenMP and oneDNN keep is kept for each thread that
calls them, and a server that answers every request in a new one would pay for it again each time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class ComputeThread:
    """A daemon thread that takes calls, one at a time and in turn. It ends with the process, also
    in the middle of a call."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def call(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns, or raise what it raises."""
        done: Future[T] = Future()
        self._calls.put((done, action))
        return done.result()

    def close(self) -> None:
        """Take no more calls."""
        self._calls.put(None)

    def _work(self) -> None:
        while (taken := self._calls.get()) is not None:
            done, action = taken
            try:
                done.set_result(action())
            except BaseException as exc:  # noqa: BLE001 - it belongs to the caller
                done.set_exception(exc)
            del taken, done, action  # or the last request would stay until the next one
