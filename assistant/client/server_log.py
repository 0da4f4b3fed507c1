"""What a server leaves behind: a small log in the user's log folder, and whether it said goodbye.

The log holds no text of any request: when servers started and ended, how much memory they took,
what failed, and whatever Python and its libraries write to stderr, a crash's stack included. A
server empties its lock file when it ends; one that is killed cannot, and that is how it is known.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.client.address import lock_holder, lock_path
from git_copilot.assistant.core.config import log_dir

LOG_NAME = "server.log"
# One file of this size, and one older.
LOG_BYTES = 256 * 1024
TAIL_BYTES = 64 * 1024
# A death is worth mentioning for a day once another server runs.
RECENT_SECONDS = 24 * 3600.0
DIED = "ended without a word"
_DIED = re.compile(rf"^(\S+) \[\d+\] server (\d+) {DIED}", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ServerDeath:
    """A server that ended without saying so: killed (for its memory, perhaps), or crashed."""

    pid: int

    def __str__(self) -> str:
        return f"the last server (pid {self.pid}) {DIED}: killed, or crashed; see {log_path()}"


def log_path() -> Path:
    """The log of this user's servers."""
    return log_dir() / LOG_NAME


def open_log() -> int:
    """A descriptor that appends to the log, for a server's stderr too.

    :raises OSError: it cannot be written.
    """
    path = log_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name(f"{LOG_NAME}.1"))
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)


class ServerLog:
    """The log as a server writes it. What cannot be written is left out."""

    def __init__(self, *, stderr: bool = False) -> None:
        """
        :param stderr: let this process's stderr go into the log as well.
        """
        self._stderr = stderr
        self._file = -1
        self.tidy()

    @property
    def descriptor(self) -> int:
        """Stays the same while the file behind it may change; -1 where there is no log."""
        return self._file

    def write(self, message: str) -> None:
        """Append one line."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.tidy()
        with contextlib.suppress(OSError):
            if self._file >= 0:
                os.write(self._file, f"{now} [{os.getpid()}] {message}\n".encode())

    def tidy(self) -> None:
        """Go on in a new file once this one is full, or another server began one."""
        with contextlib.suppress(OSError):
            if self._file >= 0:
                here, there = os.fstat(self._file), log_path().lstat()
                same = (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
                if same and here.st_size <= LOG_BYTES:
                    return
        with contextlib.suppress(OSError):
            opened = open_log()
            if self._file < 0:
                self._file = opened
            else:
                os.dup2(opened, self._file, inheritable=False)
                os.close(opened)
            if self._stderr:
                os.dup2(self._file, 2)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def say_goodbye() -> None:
    """Note in the lock file that the server that held it has ended, or was ended, on purpose."""
    with contextlib.suppress(OSError), lock_path().open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where another runs by now
        lock.truncate(0)


def last_death() -> ServerDeath | None:
    """The server that ran last, if it died; else one that died within a day."""
    with contextlib.suppress(OSError):
        written = lock_path().read_bytes()[:20].strip()
        if written.isdigit() and lock_holder() is None:
            return ServerDeath(int(written))
    try:
        with log_path().open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            tail = log.read().decode("utf-8", "replace")
    except OSError:
        return None
    found = list(_DIED.finditer(tail))
    if not found:
        return None
    when = datetime.datetime.fromisoformat(found[-1][1]).timestamp()
    return ServerDeath(int(found[-1][2])) if time.time() - when < RECENT_SECONDS else None
