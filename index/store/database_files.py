"""The files of a database on disk, and SQLite's errors in one line."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from git_copilot.index.core.errors import DISK_FULL_HINT, DatabaseError, DiskFull
from git_copilot.index.store.read_only import is_write_refused, read_only_error

REBUILD_HINT = "`git copilot index --rebuild` makes a new one; adapters and settings are kept"
# With less room than this an I/O error is taken for a full disk's: the index of the journal
# alone takes 32 KB.
ROOM_BYTES = 2**20
JOURNALS = ("-wal", "-shm", "-journal")


def decode_path(raw: object) -> str:
    """A path as the database has it, in raw bytes, as text."""
    return os.fsdecode(bytes(raw))  # type: ignore[call-overload, no-any-return, unused-ignore]


def is_empty(path: Path) -> bool:
    """Whether the file is there and has nothing in it."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _is_checkpointed(path: Path) -> bool:
    """Whether nothing that was committed is in a journal only."""
    return not any(
        each.exists() and not is_empty(each)
        for each in (Path(f"{path}{suffix}") for suffix in ("-wal", "-journal"))
    )


def is_full(exc: sqlite3.Error, path: Path) -> bool:
    """Whether an error comes from a disk without room. SQLite says so only when it writes to the
    database itself; of its other files it says that they cannot be read or opened."""
    code = getattr(exc, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return True
    if code & 0xFF not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return False
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return False
    return free < ROOM_BYTES and os.access(path.parent, os.W_OK)


def is_busy(exc: sqlite3.Error) -> bool:
    """Whether another process was in the way."""
    return "locked" in str(exc)


def is_transient(exc: sqlite3.Error, path: Path) -> bool:
    """Whether an error says nothing of the database: it may be whole."""
    return is_full(exc, path) or is_busy(exc)


def translate_error(exc: sqlite3.Error, path: Path) -> DatabaseError:
    """What an error of SQLite means for the database at ``path``, and how to mend it."""
    text = str(exc)
    if is_full(exc, path):
        return _disk_full_error(path)
    if is_write_refused(exc, path):
        return read_only_error(path)
    if "malformed" in text or "not a database" in text or "no such" in text:
        return DatabaseError(f"{path} is damaged ({text})", REBUILD_HINT)
    if is_busy(exc):
        return DatabaseError(f"{path} is busy", "another process is writing; try again")
    if "readonly" in text or "unable to open" in text:
        return DatabaseError(f"cannot write {path} ({text})", "check its permissions")
    return DatabaseError(f"{path}: {text}", REBUILD_HINT)


def _disk_full_error(path: Path) -> DiskFull:
    return DiskFull(f"no room to write {path}", DISK_FULL_HINT)


def _empty_error(path: Path) -> DatabaseError:
    return DatabaseError(f"{path} is empty", REBUILD_HINT)


def remove_database(path: Path) -> None:
    """Delete the database and its journals; the next :class:`Database` starts from nothing."""
    for suffix in ("", *JOURNALS):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def replacement_path(path: Path) -> Path:
    """Where a database is made that is to take the place of the one at ``path``."""
    return path.with_name(f"{path.name}.new")


def replace_database(path: Path) -> None:
    """Put the database :func:`replacement_path` ``path``, which nobody has open, in its place."""
    # First, or the new one would be read with what was still to be written into the old one.
    for suffix in JOURNALS:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    replacement_path(path).replace(path)
