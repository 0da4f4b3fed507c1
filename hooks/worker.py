"""The background worker of a repository: claims events, plans and runs jobs.

Started by hooks and by commands. A lock ensures that there is only one. It can be killed and
resumed at any time (see `spool`). Errors are logged and reported by `status`, never printed by git.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from git_copilot.hooks.lock import WorkerLock, withdraw_start, worker_alive
from git_copilot.hooks.plan import Job
from git_copilot.hooks.queue import DIED, QueuedJob
from git_copilot.hooks.spool import Spool

__all__ = ["QueueState", "WorkerStopped", "detach", "queue_state", "run_worker", "worker_alive"]

Handlers = Mapping[str, Callable[[Job], None]]
# Worker deaths while running a job: a single one means nothing, since machines are switched off. A
# job with SUSPECT_DEATHS runs last, and with MAX_DEATHS it is given up.
SUSPECT_DEATHS, MAX_DEATHS = 2, 10
REBASE_FOLDERS = ("rebase-merge", "rebase-apply")


class WorkerStopped(BaseException):
    """SIGTERM was received. Not an `Exception`, so that no handler treats it as a failure."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The worker's waiting times, in seconds.

    It waits for a rebase up to ``rebase_s``, or until no hook has fired for ``quiet_s``: then the
    rebase has stopped for its user, possibly for hours.
    """

    rebase_s: float = 30.0
    quiet_s: float = 3.0
    poll_s: float = 0.2
    backoff_s: float = 1.0


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue for ``status``: the number of waiting items, the running job and its start time."""

    pending: int
    running: Job | None = None
    since: float | None = None


def queue_state(state_dir: Path) -> QueueState:
    """The current state of the queue. A job of a killed worker counts as waiting."""
    spool = Spool(state_dir)
    pending = spool.pending()
    current = [entry for entry in spool.jobs() if entry.running_since is not None]
    if not current or worker_alive(state_dir) is None:
        return QueueState(pending)
    return QueueState(max(pending - 1, 0), current[0].job, current[0].running_since)


def run_worker(
    state_dir: Path,
    handlers: Handlers,
    *,
    log: logging.Logger,
    max_attempts: int = 3,
    pace: Pace | None = None,
    detached: bool = True,
) -> int:
    """Process the spool until it is empty; return the process's exit status.

    A job whose handler raises is tried ``max_attempts`` times in total, between the other jobs, and
    then given up; so is one that has killed `MAX_DEATHS` workers. ``detached=False`` leaves this
    process's session, files, priority, signals and folder alone.
    """
    state_dir = state_dir.absolute()
    if detached:
        detach(state_dir)
    spool = Spool(state_dir)
    try:
        spool.prepare()
        while (lock := _acquire(state_dir)) is not None:
            with lock:
                _Worker(spool, lock, handlers, log, max_attempts, pace or Pace()).drain()
                if not lock.is_valid():
                    return 0
            # A hook that fired before the pid file was deleted has not started a worker.
            if not spool.pending():
                return 0
    except WorkerStopped:
        log.info("stopped; queued jobs stay queued")
    except OSError:
        if state_dir.parent.is_dir() and state_dir.is_dir():
            log.exception("cannot read or write the spool")
            return 1
    return 0


def _acquire(state_dir: Path) -> WorkerLock | None:
    lock = WorkerLock.acquire(state_dir)
    if lock is None:
        withdraw_start(state_dir)
        lock = WorkerLock.acquire(state_dir)
    return lock


def detach(state_dir: Path) -> None:
    """Detach from the caller's terminal, pipes, priority and working folder.

    Only inheritable descriptors are closed: those come from git's caller (which may read a pipe
    until its end), whereas descriptors that Python opened itself are not inheritable.
    """
    with contextlib.suppress(OSError):
        for fd in [int(path.name) for path in Path("/dev/fd").iterdir()]:
            with contextlib.suppress(OSError):  # the listing's own, closed by now
                if fd >= 3 and os.get_inheritable(fd):
                    os.close(fd)
    with contextlib.suppress(OSError):
        os.setsid()  # fails for a session leader
    with contextlib.suppress(OSError):
        os.nice(max(0, 10 - os.nice(0)))
    # The shim distinguishes a worker from a process that reuses its pid by this folder.
    with contextlib.suppress(OSError):
        os.chdir(state_dir)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise WorkerStopped


class _Worker:
    """One session under the lock."""

    def __init__(
        self,
        spool: Spool,
        lock: WorkerLock,
        handlers: Handlers,
        log: logging.Logger,
        max_attempts: int,
        pace: Pace,
    ) -> None:
        self._spool = spool
        self._lock = lock
        self._handlers = handlers
        self._log = log
        self._max_attempts = max_attempts
        self._pace = pace
        self._not_before: dict[Job, float] = {}
        self._rebases: dict[str, float] = {}
        self._last_event = time.monotonic()

    def drain(self) -> None:
        """Process jobs until none is left, or until the state folder is gone."""
        self._spool.recover()
        for entry in self._spool.jobs():
            if entry.deaths >= MAX_DEATHS:
                self._give_up(entry)
        while self._lock.is_valid():
            self._collect()
            queue = self._in_turn()
            ready = next((entry for entry in queue if self._is_ready(entry)), None)
            if ready is not None:
                self._attempt(ready)
            elif queue:
                time.sleep(self._pace.poll_s)
            elif self._spool.settle() and not self._spool.pending():
                return

    def _in_turn(self) -> list[QueuedJob]:
        """The queue, with jobs last that have killed workers."""
        deadly = {(e.kind, e.git_dir) for e in self._spool.set_aside() if e.error == DIED}

        def suspect(entry: QueuedJob) -> bool:
            known = (entry.job.kind, entry.job.git_dir) in deadly
            return known or entry.deaths >= SUSPECT_DEATHS

        return sorted(self._spool.jobs(), key=suspect)

    def _collect(self) -> None:
        new = self._spool.collect()
        if new.malformed:
            self._log.warning(
                "%d lines or files of the spool could not be read; syncing every worktree",
                new.malformed,
            )
        if new.events:
            self._last_event = time.monotonic()

    def _is_ready(self, entry: QueuedJob) -> bool:
        now = time.monotonic()
        return now >= self._not_before.get(entry.job, 0.0) and not self._in_rebase(
            entry.job.git_dir, now
        )

    def _in_rebase(self, git_dir: str, now: float) -> bool:
        """Whether to wait for a rebase, whose commits then need only one sync."""
        if not any((Path(git_dir) / name).exists() for name in REBASE_FOLDERS):
            self._rebases.pop(git_dir, None)
            return False
        since = self._rebases.setdefault(git_dir, now)
        return now - since < self._pace.rebase_s and now - self._last_event < self._pace.quiet_s

    def _attempt(self, entry: QueuedJob) -> None:
        job, handler = entry.job, self._handlers.get(entry.job.kind)
        if handler is None or not (Path(job.git_dir) / "HEAD").exists():
            self._log.debug("nothing to do for %s of %s", job.kind, job.git_dir)
            self._spool.finish(job)  # a deleted worktree, or a kind without a handler
            return
        if entry.attempts >= self._max_attempts:
            self._give_up(entry)
            return
        self._spool.start(job)
        try:
            handler(job)
        except (WorkerStopped, KeyboardInterrupt):
            self._spool.interrupt(job)
            raise
        # Any error in a handler is logged and reported, and the other jobs continue.
        except Exception as exc:  # noqa: BLE001
            if self._lock.is_valid():
                self._failed(job, f"{type(exc).__name__}: {exc}")
        else:
            self._spool.finish(job)
            self._not_before.pop(job, None)

    def _failed(self, job: Job, error: str) -> None:
        self._spool.fail(job, error)
        entry = next(entry for entry in self._spool.jobs() if entry.job == job)
        self._log.exception("%s of %s failed (attempt %d)", job.kind, job.git_dir, entry.attempts)
        if entry.attempts >= self._max_attempts:
            self._give_up(entry)
        else:
            pause = self._pace.backoff_s * 2 ** (entry.attempts - 1)
            self._not_before[job] = time.monotonic() + pause

    def _give_up(self, entry: QueuedJob) -> None:
        self._spool.give_up(entry, entry.error or DIED)
        self._not_before.pop(entry.job, None)
        self._log.error(
            "%s of %s was set aside after %d attempts",
            entry.job.kind,
            entry.job.git_dir,
            entry.attempts,
        )
