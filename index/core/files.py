"""Files that are replaced in one step, lock files, and errors of the file system in one line.

Standard library only: hooks use it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from git_copilot.index.core.errors import DISK_FULL_ERRNOS, DISK_FULL_HINT, CopilotError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into one line with a remedy.

    :param path: the file or folder that the message names.
    :raises CopilotError: instead of an :class:`OSError`.
    """
    try:
        yield
    except OSError as exc:
        # Libraries raise errors of their own that carry only the text.
        if exc.errno in DISK_FULL_ERRNOS or os.strerror(errno.ENOSPC) in str(exc):
            raise CopilotError(f"no room to write {path}", DISK_FULL_HINT) from exc
        reason = exc.strerror or str(exc)
        raise CopilotError(f"cannot write {path} ({reason})", "check its permissions") from exc


@contextmanager
def replacing(path: Path, *, mode: int | None = None, durable: bool = True) -> Iterator[BinaryIO]:
    """A new file, written beside ``path`` and renamed over it when the block ends without an error.

    :param mode: its permissions; by default those that the umask leaves.
    :param durable: have the content on disk before the name, and the name before the end. A file
        that is cheap to make again can do without.
    :raises OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # Left by a killed process; or a link, which may lead anywhere.
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, _NEW, 0o666 if mode is None else 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if mode is not None:
                os.fchmod(descriptor, mode)
            file.flush()
            if durable:
                os.fsync(descriptor)
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(
    path: Path, data: bytes, *, mode: int | None = None, durable: bool = True
) -> None:
    """Replace a small file in one step; the parameters are those of :func:`replacing`.

    :raises OSError: it cannot be written.
    """
    with replacing(path, mode=mode, durable=durable) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def file_lock(
    path: Path, busy: str = "", *, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold a lock file, which is made if need be; the lock dies with its holder.

    :param busy: the message when another process holds it.
    :param on_wait: wait for the other process instead, after this call.
    :raises CopilotError: another process holds it, or the file cannot be made.
    """
    with os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if on_wait is None:
                raise CopilotError(busy, "wait for it to end") from exc
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
