"""The worker's lock and pid files. The lock decides; the files are a cheap hint for the shim.

``worker.pid``    the holder of the lock; left behind if it is killed
``worker.start``  a process that was started and may not hold the lock yet. An interpreter needs
                  a tenth of a second for that, in which a rebase makes 30 commits.

A pid may be reused, but the lock is released with its holder. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from git_copilot.index.core.files import write_atomically

LOCK_FILE = "worker.lock"
PID_FILE = "worker.pid"
START_FILE = "worker.start"

# A probe (see `worker_alive`) holds the lock for microseconds. A worker that starts in that moment
# must not mistake the probe for another worker and exit, so it tries a few times.
_TRIES, _PAUSE_S = 4, 0.025


def _open_locked(path: Path) -> int | None:
    """A descriptor that holds the lock, or ``None`` if another process does. The caller needs the
    descriptor to check that the file still exists, so ``files.file_lock`` does not fit."""
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


def read_pid(state_dir: Path, name: str = PID_FILE) -> int | None:
    """The pid in the file, whether or not the process is alive."""
    try:
        pid = int((state_dir / name).read_bytes())
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


def worker_alive(state_dir: Path) -> int | None:
    """The running worker's pid, or ``None``; a stale pid file is removed."""
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


def worker_starting(state_dir: Path) -> int | None:
    """The pid of a worker that was started and is alive, whether or not it has the lock."""
    pid = read_pid(state_dir, START_FILE)
    if pid is None:
        return None
    try:
        os.kill(pid, 0)
        # Its working folder distinguishes it from a process that reuses the pid.
        if not Path("/proc/self/cwd").exists() or Path(f"/proc/{pid}/cwd").samefile(state_dir):
            return pid
    except OSError:
        pass
    return None


def withdraw_start(state_dir: Path) -> None:
    """Remove this process from ``worker.start``.

    A process that did not get the lock must try once more afterwards: a hook that saw it before has
    left its event to it, and later hooks no longer see it.
    """
    if read_pid(state_dir, START_FILE) == os.getpid():
        with contextlib.suppress(OSError):
            (state_dir / START_FILE).unlink(missing_ok=True)


class WorkerLock:
    """The lock of a repository's only worker; as a context manager it also keeps the pid file."""

    def __init__(self, state_dir: Path, fd: int) -> None:
        self._state_dir = state_dir
        self._pid_file = state_dir / PID_FILE
        self._lock_file = state_dir / LOCK_FILE
        self._fd = fd

    @classmethod
    def acquire(cls, state_dir: Path) -> WorkerLock | None:
        """Take the lock without waiting for another worker; ``None`` if there is one."""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_S)
            fd = _open_locked(state_dir / LOCK_FILE)
            if fd is not None:
                return cls(state_dir, fd)
        return None

    def is_valid(self) -> bool:
        """Whether the lock is still effective: its file may have been deleted."""
        try:
            held, there = os.fstat(self._fd), self._lock_file.stat()
        except OSError:
            return False
        return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)

    def _forked(self) -> None:
        # A forked child shares the lock and would keep it after this process is killed.
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        os.register_at_fork(after_in_child=self._forked)
        write_atomically(self._pid_file, f"{os.getpid()}\n".encode(), durable=False)
        withdraw_start(self._state_dir)  # in this order, so a hook sees at least one of the files
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # In this order: an event that was appended before the pid file went is found by the
        # caller's second check of the spool; a later shim starts a worker itself.
        if self.is_valid():
            with contextlib.suppress(OSError):
                self._pid_file.unlink(missing_ok=True)
        fd, self._fd = self._fd, -1
        os.close(fd)
