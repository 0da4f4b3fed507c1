"""Runs the requests of several clients on one service, for servers of any protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from git_copilot.assistant.backend.compute_thread import ComputeThread
from git_copilot.assistant.service.service import Service

Deferred = list[Callable[[], None]]
_Result = TypeVar("_Result")


class RequestExecutor:
    """One request at a time, all in one thread: models and databases belong to one thread, and
    two cores are busy with one request. Between two requests the session's idle work is done.
    ``completed`` counts requests."""

    def __init__(self, service: Service) -> None:
        self.completed = 0
        self._service = service
        self._lock = threading.Lock()
        self._thread = ComputeThread("requests")
        self._counting = threading.Lock()
        self._present = 0  # requests that wait or run
        self._closing = False

    def run(
        self, action: Callable[[], _Result], is_cancelled: Callable[[], bool]
    ) -> tuple[_Result, Deferred] | None:
        """Wait for a turn and run ``action``. Thread-safe.

        :return: its result and the actions to call once the answer was sent; ``None`` where the
            client left while it waited.
        """
        self._count(1)
        try:
            with self._lock:
                if is_cancelled():
                    return None
                result = self._thread.call(action)
                deferred = self._service.session.take_deferred()
                self.completed += 1
        finally:
            self._count(-1)
        return result, deferred

    def go_on(self) -> None:
        """Do the session's idle work, until it is done or the next request arrives."""
        if self._service.session.idle_work is not None:
            self._thread.post(self._work)

    def close(self) -> None:
        """Close the service and end the thread."""
        self._closing = True
        self._service.close()
        self._thread.close()

    def _count(self, more: int) -> None:
        with self._counting:
            self._present += more

    def _interrupted(self) -> bool:
        return self._present > 0 or self._closing

    def _work(self) -> None:
        session = self._service.session
        work, session.idle_work = session.idle_work, None
        if work is not None and not work(self._interrupted):
            session.idle_work = work  # the next request replaces it, or it goes on after that
