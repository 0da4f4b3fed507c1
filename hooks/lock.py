"""Who the worker is: the lock decides, the pid file only tells the shim cheaply.

A killed worker leaves its pid file behind and the number may be given to another process;
the lock dies with its holder. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

LOCK_FILE = "worker.lock"
PID_FILE = "worker.pid"

# A probe (see `worker_alive`) holds the lock for microseconds. A worker that starts in that
# moment must not take the probe for another worker and leave, so it asks a few times.
_TRIES, _PAUSE_S = 4, 0.025


def _open_locked(path: Path) -> int | None:
    """A descriptor that holds the lock, or ``None`` when somebody else does."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_pid(state_dir: Path) -> int | None:
    """What the pid file says, whether or not that process lives."""
    try:
        return int((state_dir / PID_FILE).read_bytes())
    except (OSError, ValueError):
        return None


def worker_alive(state_dir: Path) -> int | None:
    """The running worker's pid, or ``None``; a pid file left by a killed one is removed."""
    pid = read_pid(state_dir)
    if pid is None:
        return None
    try:
        fd = _open_locked(state_dir / LOCK_FILE)
    except OSError:
        return None
    if fd is None:
        return pid
    try:
        if read_pid(state_dir) == pid:
            (state_dir / PID_FILE).unlink(missing_ok=True)
    except OSError:
        pass  # a read-only state folder: the answer is the same
    finally:
        os.close(fd)
    return None


class WorkerLock:
    """Held by the one worker of a repository; as a context it also keeps the pid file."""

    def __init__(self, state_dir: Path, fd: int) -> None:
        self._pid_file = state_dir / PID_FILE
        self._lock_file = state_dir / LOCK_FILE
        self._fd = fd

    @classmethod
    def acquire(cls, state_dir: Path) -> WorkerLock | None:
        """Take the lock without waiting for another worker; ``None`` when there is one."""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_S)
            fd = _open_locked(state_dir / LOCK_FILE)
            if fd is not None:
                return cls(state_dir, fd)
        return None

    def valid(self) -> bool:
        """Whether the lock still protects anything: its file may have been deleted."""
        try:
            held, there = os.fstat(self._fd), self._lock_file.stat()
        except OSError:
            return False
        return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)

    def _forked(self) -> None:
        # A forked child shares the lock and would hold it after this process is killed.
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        os.register_at_fork(after_in_child=self._forked)
        fresh = self._pid_file.with_name(f"{PID_FILE}.{os.getpid()}")
        fresh.write_text(f"{os.getpid()}\n")
        fresh.replace(self._pid_file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # In this order: a shim that appended before the pid went is seen by the caller's
        # second look at the spool, one that appends after it starts a worker itself.
        if self.valid():
            with contextlib.suppress(OSError):
                self._pid_file.unlink(missing_ok=True)
        fd, self._fd = self._fd, -1
        os.close(fd)
