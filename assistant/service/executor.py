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
    two cores are busy with one request. ``completed`` counts them."""

    def __init__(self, service: Service) -> None:
        self.completed = 0
        self._service = service
        self._lock = threading.Lock()
        self._thread = ComputeThread("requests")

    def run(
        self, action: Callable[[], _Result], is_cancelled: Callable[[], bool]
    ) -> tuple[_Result, Deferred] | None:
        """Wait for a turn and run ``action``. Thread-safe.

        :return: its result and the actions to call once the answer was sent; ``None`` where the
            client left while it waited.
        """
        with self._lock:
            if is_cancelled():
                return None
            result = self._thread.call(action)
            deferred = self._service.session.take_deferred()
            self.completed += 1
        return result, deferred

    def close(self) -> None:
        """Close the service and end the thread."""
        self._service.close()
        self._thread.close()
