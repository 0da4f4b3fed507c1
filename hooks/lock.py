"""Who the worker is: the lock decides, the files only tell the shim cheaply.

``worker.pid``    the holder of the lock; a killed one leaves it behind
``worker.start``  a process that was started and may not hold the lock yet. An interpreter needs
                  a tenth of a second to get there, and a rebase commits 30 times meanwhile.

A pid may be given to another process; the lock dies with its holder. Standard library only.
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

# A probe (see `worker_alive`) holds the lock for microseconds. A worker that starts in that
# moment must not take the probe for another worker and leave, so it asks a few times.
_TRIES, _PAUSE_S = 4, 0.025


def _open_locked(path: Path) -> int | None:
    """A descriptor that holds the lock, or ``None`` when somebody else does. The descriptor is
    needed itself, to see whether its file is still there, and so ``files.file_lock`` will not do."""
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
    """What the pid file says, whether or not that process lives."""
    try:
        pid = int((state_dir / name).read_bytes())
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


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


def worker_starting(state_dir: Path) -> int | None:
    """The pid of a worker that was started and still lives, whether or not it has the lock."""
    pid = read_pid(state_dir, START_FILE)
    if pid is None:
        return None
    try:
        os.kill(pid, 0)
        # By its working folder it is told from another process with an old pid.
        if not Path("/proc/self/cwd").exists() or Path(f"/proc/{pid}/cwd").samefile(state_dir):
            return pid
    except OSError:
        pass
    return None


def withdraw(state_dir: Path) -> None:
    """Stop telling the hooks that this process is about to be the worker.

    A process that does not get the lock asks for it once more after this: a hook that saw it
    before has left its event to it, and a hook that comes later does not see it.
    """
    if read_pid(state_dir, START_FILE) == os.getpid():
        with contextlib.suppress(OSError):
            (state_dir / START_FILE).unlink(missing_ok=True)


class WorkerLock:
    """Held by the one worker of a repository; as a context it also keeps the pid file."""

    def __init__(self, state_dir: Path, fd: int) -> None:
        self._state_dir = state_dir
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
        write_atomically(self._pid_file, f"{os.getpid()}\n".encode(), durable=False)
        withdraw(self._state_dir)  # in this order: a hook sees the one or the other
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
