"""The database's files on disk, and one-line errors for SQLite's exceptions."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from git_copilot.index.core.errors import DISK_FULL_HINT, DatabaseError, DiskFull
from git_copilot.index.store.read_only import is_write_refused, read_only_error

REBUILD_HINT = "run `git copilot index --rebuild`; adapters and settings are kept"
# With less free space than this, an I/O error is attributed to a full disk: the index of the
# journal alone takes 32 KB.
ROOM_BYTES = 2**20
JOURNALS = ("-wal", "-shm", "-journal")


def decode_path(raw: object) -> str:
    """Decode a path that is stored as raw bytes."""
    return os.fsdecode(bytes(raw))  # type: ignore[call-overload, no-any-return, unused-ignore]


def is_empty(path: Path) -> bool:
    """Whether the file exists and is empty."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _is_checkpointed(path: Path) -> bool:
    """Whether the journals are empty, so that the file contains all committed data."""
    return not any(
        each.exists() and not is_empty(each)
        for each in (Path(f"{path}{suffix}") for suffix in ("-wal", "-journal"))
    )


def is_full(exc: sqlite3.Error, path: Path) -> bool:
    """Whether an error is due to a full disk. SQLite reports that only for writes to the database
    itself; for its other files it reports that they cannot be read or opened."""
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
    """Whether another process holds the lock."""
    return "locked" in str(exc)


def is_transient(exc: sqlite3.Error, path: Path) -> bool:
    """Whether an error may pass: the disk is full or the database is busy."""
    return is_full(exc, path) or is_busy(exc)


def translate_error(exc: sqlite3.Error, path: Path) -> DatabaseError:
    """The error, with its remedy, for an exception from SQLite."""
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
    return DiskFull(f"cannot write {path}: the disk is full", DISK_FULL_HINT)


def _empty_error(path: Path) -> DatabaseError:
    return DatabaseError(f"{path} is empty", REBUILD_HINT)


def remove_database(path: Path) -> None:
    """Delete the database and its journals; the next :class:`Database` starts empty."""
    for suffix in ("", *JOURNALS):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def replacement_path(path: Path) -> Path:
    """The path of a new database that is to replace the one at ``path``."""
    return path.with_name(f"{path.name}.new")


def replace_database(path: Path) -> None:
    """Move the database at :func:`replacement_path`, which nobody has open, to ``path``."""
    # Delete the journals first, or SQLite would apply the old ones to the new database.
    for suffix in JOURNALS:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    replacement_path(path).replace(path)
