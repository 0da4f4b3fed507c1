"""The queue of requests to one service: bounded, shared by equal requests, and in each place where
somebody types only the latest counts."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
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
# With more than so many in the queue, whoever typed within this time is probably typing still: what
# is begun for them is dropped at the next key. And of the others the latest have not given up yet.
CROWD, REST_SECONDS = 3, 0.25
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
class _Waiter:
    """One request for a job, the ``arrived``-th of all; ``superseded`` by a later one of its place."""

    is_cancelled: Callable[[], bool]
    arrived: int
    superseded: bool = False

    @property
    def left(self) -> bool:
        return self.superseded or self.is_cancelled()


class _Job:
    """A computation and everybody who waits for it."""

    def __init__(self, first: _Waiter, lock: threading.Lock) -> None:
        self.waiters = [first]
        self.done = threading.Event()
        self.turn: Turn[Any] | None = None
        self.error: BaseException | None = None
        self.abandoned = False
        self.came = time.monotonic()
        self._lock = lock

    def gone(self) -> bool:
        """Whether nobody waits any more. From then on nobody joins: what is computed now may be
        cut short."""
        if not self.abandoned and all(waiter.left for waiter in self.waiters):
            with self._lock:
                self.abandoned = all(waiter.left for waiter in self.waiters)
        return self.abandoned


class RequestQueue:
    """Runs requests on an executor. Thread-safe. ``waiting`` counts those that wait or run,
    ``cancelled`` those that were dropped."""

    def __init__(self, executor: RequestExecutor) -> None:
        self.executor = executor
        self.recorder = Recorder()
        self.waiting = 0
        self.cancelled = 0
        self._lock = threading.Lock()
        self._arrivals = itertools.count(1)
        self._line: list[_Job] = []
        self._running: _Job | None = None
        self._moved = threading.Condition()
        self._shared: dict[Hashable, _Job] = {}
        self._latest: dict[Hashable, tuple[_Job, list[_Waiter]]] = {}

    def arrive(self) -> int:
        """The number of a request that arrives now, for whoever reads it later in a thread of its
        own: threads may overtake each other."""
        return next(self._arrivals)

    def run(
        self,
        action: Callable[[Callable[[], bool]], _Result],
        is_cancelled: Callable[[], bool],
        *,
        place: Hashable = None,
        same: Hashable = None,
        arrived: int | None = None,
    ) -> Turn[_Result]:
        """Wait for a turn and run ``action``, which gets a function that says when to stop.

        :param place: where somebody types: an earlier request of the same place is dropped.
        :param same: requests with equal keys share one computation.
        :param arrived: its number of :meth:`arrive`; by default it arrives now.
        :raises RequestDropped: nobody needs the answer.
        :raises ServerBusy: the queue is full.
        """
        if is_cancelled():  # it came late, and must not drop the one that came after it
            self.cancelled += 1
            raise RequestDropped(superseded=False)
        waiter = _Waiter(is_cancelled, self.arrive() if arrived is None else arrived)
        job, leads = self._join(waiter, place, same)
        try:
            if leads:
                self._lead(job, same, action)
            else:
                while not job.done.wait(POLL_SECONDS) and not waiter.left:
                    pass
            return self._taken(job, waiter)
        except RequestDropped:
            self.cancelled += 1
            raise
        finally:
            with self._lock:
                self.waiting -= 1
                if place in self._latest and self._latest[place][0] is job and leads:
                    del self._latest[place]

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

    def _join(self, waiter: _Waiter, place: Hashable, same: Hashable) -> tuple[_Job, bool]:
        """The job of a request, and whether this one is its first."""
        with self._lock:
            job = self._shared.get(same) if same is not None else None
            joins = job is not None and not job.abandoned
            if not joins and self.waiting >= MAX_WAITING:
                raise ServerBusy
            self.waiting += 1
            if job is not None and joins:
                job.waiters.append(waiter)
            else:
                job = _Job(waiter, self._lock)
                if same is not None:
                    self._shared[same] = job
            if place is not None:
                self._take_place(place, job, waiter)
            return job, not joins

    def _take_place(self, place: Hashable, job: _Job, waiter: _Waiter) -> None:
        """Drop the earlier requests of a place, unless they are the same. They are not always those
        that came here first."""
        earlier, waiters = self._latest.get(place, (job, []))
        if earlier is not job:
            if any(each.arrived > waiter.arrived for each in waiters):
                waiter.superseded = True
                return
            for each in waiters:
                each.superseded = True
            waiters = []
        waiters.append(waiter)
        self._latest[place] = job, waiters

    def _lead(
        self, job: _Job, same: Hashable, action: Callable[[Callable[[], bool]], object]
    ) -> None:
        try:
            if self._wait_for_turn(job):
                done = self.executor.run(lambda: action(job.gone), job.gone)
                job.turn = None if done is None else Turn(*done)
        except BaseException as exc:  # noqa: BLE001 - raised to everybody who waits
            job.error = exc
        finally:
            with self._moved:
                self._line.remove(job)
                if self._running is job:
                    self._running = None
                self._moved.notify_all()
            with self._lock:
                if self._shared.get(same) is job:
                    del self._shared[same]
            job.done.set()

    def _wait_for_turn(self, job: _Job) -> bool:
        """Stand in line until the job may run; false as soon as nobody waits for it: who types leaves
        five requests a second behind, and they must not fill the queue."""
        with self._moved:
            self._line.append(job)
        while not job.gone():
            with self._moved:
                if self._running is None and self._next() is job:
                    self._running = job
                    return True
                self._moved.wait(POLL_SECONDS)
        return False

    def _next(self) -> _Job | None:
        """Whose turn it is: first come, first served, but in a crowd that of the latest who have
        stopped typing."""
        if len(self._line) <= CROWD:
            return self._line[0]
        now = time.monotonic()
        rested = [job for job in self._line if now - job.came >= REST_SECONDS]
        return rested[-1] if rested else None

    def _taken(self, job: _Job, waiter: _Waiter) -> Turn[_Result]:
        """The result of a job for one of those who wait."""
        ended = job.done.is_set() and (job.turn is not None or job.error is not None)
        if waiter.left or job.abandoned or not ended:
            raise RequestDropped(superseded=waiter.superseded)
        if job.error is not None:
            raise job.error
        with self._lock:  # whoever comes first calls what was deferred
            turn = job.turn
            assert turn is not None
            job.turn = Turn(turn.result, [])
        return turn
