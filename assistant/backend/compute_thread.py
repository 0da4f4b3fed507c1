"""Runs all computation in one thread. torch, OpenMP and oneDNN keep state per calling thread; a
server that answers each request in a new thread would pay for it every time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class ComputeThread:
    """A daemon thread that runs calls one at a time, in order. It ends with the process, even in
    the middle of a call."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def post(self, action: Callable[[], object]) -> None:
        """Run ``action`` in the thread some time; nobody learns how it ends."""
        self._calls.put((Future(), action))

    def call(self, action: Callable[[], T]) -> T:
        """Run ``action`` in the thread; return what it returns, or raise what it raises."""
        done: Future[T] = Future()
        self._calls.put((done, action))
        return done.result()

    def close(self, seconds: float = 0.0) -> bool:
        """End the thread after the calls that are queued, and wait for that.

        :return: whether it ended in time.
        """
        self._calls.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (taken := self._calls.get()) is not None:
            done, action = taken
            try:
                done.set_result(action())
            except BaseException as exc:  # noqa: BLE001 - raised in the caller
                done.set_exception(exc)
            del taken, done, action  # else the last request stays in memory until the next one
