"""The queue of requests to one service: bounded, shared by equal requests, and in each place where
somebody types only the latest counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from git_copilot.assistant.api.answers import FeedbackAnswer
from git_copilot.assistant.api.requests import FeedbackRequest
from git_copilot.assistant.service.executor import Deferred, RequestExecutor
from git_copilot.assistant.service.recorder import Recorder
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import CopilotError

# More than people and their editors have waiting; what is behind that would be answered too late.
MAX_WAITING = 64
POLL_SECONDS = 0.02
ACCEPTED = "accepted"
_Result = TypeVar("_Result")


class ServerBusy(CopilotError):
    """Too many requests wait."""

    def __init__(self) -> None:
        super().__init__(
            f"{MAX_WAITING} requests are waiting already", "ask again when some are answered"
        )


class RequestDropped(Exception):
    """A request needs no answer any more: its client left, or ``superseded`` by a later one."""

    def __init__(self, *, superseded: bool) -> None:
        super().__init__("superseded" if superseded else "cancelled")
        self.superseded = superseded


@dataclass(frozen=True, slots=True)
class Turn(Generic[_Result]):
    """A result; ``deferred`` is to be called once it was sent (empty for all but one of those who
    share it)."""

    result: _Result
    deferred: Deferred


@dataclass(eq=False, slots=True)
class _Job:
    """A computation and everybody who waits for it."""

    waiters: list[Callable[[], bool]]
    superseded: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    turn: Turn[Any] | None = None
    error: BaseException | None = None

    def gone(self) -> bool:
        """Whether nobody waits any more."""
        return self.superseded or all(gone() for gone in self.waiters)


class RequestQueue:
    """Runs requests on an executor. Thread-safe. ``waiting`` counts those that wait or run,
    ``cancelled`` those that were dropped."""

    def __init__(self, executor: RequestExecutor) -> None:
        self.executor = executor
        self.recorder = Recorder()
        self.waiting = 0
        self.cancelled = 0
        self._lock = threading.Lock()
        self._shared: dict[Hashable, _Job] = {}
        self._latest: dict[Hashable, _Job] = {}

    def run(
        self,
        action: Callable[[Callable[[], bool]], _Result],
        is_cancelled: Callable[[], bool],
        *,
        place: Hashable = None,
        same: Hashable = None,
    ) -> Turn[_Result]:
        """Wait for a turn and run ``action``, which gets a function that says when to stop.

        :param place: where somebody types: an earlier request of the same place is dropped.
        :param same: requests with equal keys share one computation.
        :raises RequestDropped: nobody needs the answer.
        :raises ServerBusy: the queue is full.
        """
        job, leads = self._join(is_cancelled, place, same)
        try:
            if leads:
                self._lead(job, action)
            else:
                while not job.done.wait(POLL_SECONDS) and not is_cancelled():
                    pass
            return self._taken(job, is_cancelled)
        except RequestDropped:
            self.cancelled += 1
            raise
        finally:
            with self._lock:
                self.waiting -= 1

    def report(
        self, service: Service, request: FeedbackRequest, note: Callable[[str], None]
    ) -> FeedbackAnswer:
        """Take a report beside a completion that is being made: an editor that reports should not
        wait for a model. Behind what was accepted the next completion is prepared.

        :raises CopilotError: as :meth:`~git_copilot.assistant.service.service.Service.feedback`.
        """
        self.recorder.wait()
        answer = service.feedback(request, note)
        if request.outcome == ACCEPTED:
            executor = self.executor
            executor.post(
                lambda: service.prepare_next(request.completion_id, executor.is_interrupted)
            )
        return answer

    def _join(
        self, is_cancelled: Callable[[], bool], place: Hashable, same: Hashable
    ) -> tuple[_Job, bool]:
        """The job of a request, and whether this one is its first."""
        with self._lock:
            job = self._shared.get(same) if same is not None else None
            if job is not None and not job.superseded:
                job.waiters.append(is_cancelled)
                self.waiting += 1
                return job, False
            if self.waiting >= MAX_WAITING:
                raise ServerBusy
            job = _Job([is_cancelled])
            self.waiting += 1
            if same is not None:
                self._shared[same] = job
            if place is not None:
                earlier = self._latest.get(place)
                if earlier is not None:
                    earlier.superseded = True
                self._latest[place] = job
        return job, True

    def _lead(self, job: _Job, action: Callable[[Callable[[], bool]], object]) -> None:
        try:
            done = self.executor.run(lambda: action(job.gone), job.gone)
            job.turn = None if done is None else Turn(*done)
        except BaseException as exc:  # noqa: BLE001 - raised to everybody who waits
            job.error = exc
        finally:
            with self._lock:
                for jobs in (self._shared, self._latest):
                    for key in [key for key, held in jobs.items() if held is job]:
                        del jobs[key]
            job.done.set()

    def _taken(self, job: _Job, is_cancelled: Callable[[], bool]) -> Turn[_Result]:
        """The result of a job for one of those who wait."""
        ended = job.turn is not None or job.error is not None
        if job.superseded or is_cancelled() or not (job.done.is_set() and ended):
            raise RequestDropped(superseded=job.superseded)
        if job.error is not None:
            raise job.error
        with self._lock:  # whoever comes first calls what was deferred
            turn = job.turn
            assert turn is not None
            job.turn = Turn(turn.result, [])
        return turn
