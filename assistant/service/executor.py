"""Runs the requests of several clients on one service, for servers of any protocol."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from git_copilot.assistant.backend.compute_thread import ComputeThread
from git_copilot.assistant.service.service import Service

# A library that is being loaded, or a step of a model.
CLOSE_SECONDS = 2.0

Deferred = list[Callable[[], None]]
_Result = TypeVar("_Result")


class RequestExecutor:
    """One request at a time, all in one thread: models and databases belong to one thread, and
    two cores are busy with one request. Between two requests the session's idle work is done.
    ``completed`` counts requests; ``last_used`` is the monotonic time of the last one's end."""

    def __init__(self, service: Service) -> None:
        self.completed = 0
        self.last_used = time.monotonic()
        self._service = service
        self._thread = ComputeThread("requests")
        self._counting = threading.Lock()
        self._present = 0  # requests that wait or run
        self._closing = False

    def run(
        self, action: Callable[[], _Result], is_cancelled: Callable[[], bool]
    ) -> tuple[_Result, Deferred] | None:
        """Wait for a turn, first come, first served, and run ``action``. Thread-safe.

        :return: its result and the actions to call once the answer was sent; ``None`` where the
            client left while it waited.
        """

        def work() -> tuple[_Result, Deferred] | None:
            if is_cancelled():
                return None
            result = action()
            self.completed += 1
            return result, self._service.session.take_deferred()

        self._count(1)
        try:
            return self._thread.call(work)
        finally:
            self._count(-1)
            self.last_used = time.monotonic()

    def post(self, action: Callable[[], object]) -> None:
        """Run ``action`` between requests some time; nobody learns how it ends."""
        self._thread.post(action)

    def go_on(self) -> None:
        """Do the session's idle work, until it is done or the next request arrives."""
        if self._service.session.idle_work is not None:
            self._thread.post(self._work)

    def close(self) -> bool:
        """Close the service and end the thread; whether it ended within :data:`CLOSE_SECONDS`."""
        self._closing = True
        self._service.close()
        return self._thread.close(CLOSE_SECONDS)

    def _count(self, more: int) -> None:
        with self._counting:
            self._present += more

    def is_interrupted(self) -> bool:
        """Whether work between requests must end."""
        return self._present > 0 or self._closing

    def _work(self) -> None:
        session = self._service.session
        work, session.idle_work = session.idle_work, None
        if work is not None and not work(self.is_interrupted):
            session.idle_work = work  # the next request replaces it, or it goes on after that
