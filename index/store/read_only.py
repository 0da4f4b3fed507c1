"""Reads a database that this user may not write: on a read-only file system, or another user's.

SQLite's WAL mode needs two files beside the database even for reading. If they exist, the owner has
the database open and a normal reader sees the owner's writes. If not, the one file contains
everything.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import tempfile
from pathlib import Path

from git_copilot.index.core.errors import ReadOnlyDatabase

_CODES = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
JOURNALS = ("-wal", "-shm", "-journal")


def may_write(path: Path) -> bool:
    """Whether this process may write a file and create others beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def is_write_refused(exc: sqlite3.Error, path: Path) -> bool:
    """Whether an error is due to a database that is readable but not writable."""
    code = getattr(exc, "sqlite_errorcode", 0)
    return code & 0xFF in _CODES and os.access(path, os.R_OK) and not may_write(path)


def read_only_error(path: Path) -> ReadOnlyDatabase:
    """The error for a file that this user may not write, with its remedy."""
    folder = path.parent
    try:
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return ReadOnlyDatabase(
                f"{path} is on a read-only file system",
                "mount it writable, or clone the repository",
            )
        owner = path.stat().st_uid
    except OSError as exc:
        return ReadOnlyDatabase(
            f"{path} cannot be written ({exc.strerror})", "check its permissions"
        )
    if owner == os.geteuid():
        return ReadOnlyDatabase(f"{path} is read-only", f"`chmod -R u+w '{folder}'`")
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    return ReadOnlyDatabase(
        f"{path} belongs to {name} and is read-only for you", "work in a clone of your own"
    )


def file_state(path: Path) -> tuple[object, ...]:
    """File metadata that changes when the database is written, or becomes writable."""
    found: list[object] = [may_write(path)]
    for each in (path, *(Path(f"{path}{suffix}") for suffix in JOURNALS)):
        try:
            facts = each.stat()
            found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def open_for_reading(path: Path, seconds: float) -> sqlite3.Connection:
    """Open a read-only connection.

    :param seconds: how long to wait for a lock.
    :raises sqlite3.Error: it is not readable, or is damaged.
    """
    uri = path.absolute().as_uri()
    try:
        return _try(f"{uri}?mode=ro", seconds)
    except sqlite3.Error as exc:
        if not is_write_refused(exc, path):
            raise
    if not _has_bytes(f"{path}-wal") and not _has_bytes(f"{path}-journal"):
        return _try(f"{uri}?immutable=1", seconds)
    # The owner was killed, or this is a file system snapshot: SQLite must replay the journal.
    with tempfile.TemporaryDirectory(prefix="git-copilot-") as folder:
        copy = Path(folder, path.name)
        for suffix in ("", "-wal", "-journal"):
            if _has_bytes(f"{path}{suffix}"):
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        return _try(str(copy), seconds)  # stays readable after the file is deleted


def _has_bytes(name: str) -> bool:
    try:
        return Path(name).stat().st_size > 0
    except OSError:
        return False


def _try(name: str, seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name,
        timeout=seconds,
        isolation_level=None,
        check_same_thread=False,
        uri=name.startswith("file:"),
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
