"""Reads a database that this user may not write: a read-only file system, or another user's.

SQLite's journal (WAL) needs two files beside the database even for reading. Where they are there,
its owner has it open and a plain reader sees what the owner writes. Where they are not, all of it is
in the one file.
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
    """Whether this process may write a file and make others beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def is_write_refused(exc: sqlite3.Error, path: Path) -> bool:
    """Whether an error comes from a database that may be read and not written."""
    code = getattr(exc, "sqlite_errorcode", 0)
    return code & 0xFF in _CODES and os.access(path, os.R_OK) and not may_write(path)


def read_only_error(path: Path) -> ReadOnlyDatabase:
    """Why a file cannot be written, and what to do."""
    folder = path.parent
    try:
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return ReadOnlyDatabase(
                f"{path} lies on a read-only file system", "mount it for writing, or clone it"
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
    """What changes when somebody writes the database, or may write it from now on."""
    found: list[object] = [may_write(path)]
    for each in (path, *(Path(f"{path}{suffix}") for suffix in JOURNALS)):
        try:
            facts = each.stat()
            found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def open_for_reading(path: Path, seconds: float) -> sqlite3.Connection:
    """A connection that can only read.

    :param seconds: how long to wait for a lock.
    :raises sqlite3.Error: it cannot be read either, or is damaged.
    """
    uri = path.absolute().as_uri()
    try:
        return _try(f"{uri}?mode=ro", seconds)
    except sqlite3.Error as exc:
        if not is_write_refused(exc, path):
            raise
    if not _has_bytes(f"{path}-wal") and not _has_bytes(f"{path}-journal"):
        return _try(f"{uri}?immutable=1", seconds)
    # Its owner was killed, or this is a picture of a moment: SQLite needs to put it in order.
    with tempfile.TemporaryDirectory(prefix="git-copilot-") as folder:
        copy = Path(folder, path.name)
        for suffix in ("", "-wal", "-journal"):
            if _has_bytes(f"{path}{suffix}"):
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        return _try(str(copy), seconds)  # what is open stays readable without its name


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
