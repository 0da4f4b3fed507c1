"""Files that are on disk before they have their name, locks, and errors in one line."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from git_copilot.index.core.errors import CopilotError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into one line that a person can act on.

    :raises CopilotError: instead of an :class:`OSError`.
    """
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(exc)
        if full:
            raise CopilotError(f"no room to write {path}", "free some disk space") from exc
        reason = exc.strerror or str(exc)
        raise CopilotError(f"cannot write {path} ({reason})", "check its permissions") from exc


def write_atomically(path: Path, text: str) -> None:
    """Replace a small file in one step, on disk before its name.

    :raises CopilotError: it cannot be written.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: Path, otherwise: str) -> Iterator[None]:
    """Hold a lock file; the lock dies with its holder.

    :param otherwise: what is wrong when another process holds it.
    :raises CopilotError: another process holds it, or the file cannot be made.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise CopilotError(otherwise, "wait for it to end") from exc
        yield
    finally:
        os.close(descriptor)
