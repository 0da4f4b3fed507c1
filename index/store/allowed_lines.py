"""Lines that look like secrets but that the user has allowed.

A line is identified by a hash of its stripped text. It stays allowed when it is moved, indented or
copied, and is judged again as soon as its text changes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import is_trusted
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.database_files import decode_path

Allowed = frozenset[str]
_COLUMNS = "fingerprint, path, line, time"


@dataclass(frozen=True, slots=True)
class AllowedLine:
    """An allowed line; ``path`` and ``line`` (1-based) are its place when it was allowed, at
    ``time`` (seconds since 1970)."""

    fingerprint: str
    path: str
    line: int
    time: int


def load(db: Database) -> Allowed:
    """The fingerprints of all allowed lines."""
    return frozenset(str(row[0]) for row in db.query("SELECT fingerprint FROM allowed"))


def allowed_in(repo: GitRepository) -> Allowed:
    """The fingerprints in a repository's database, opened just for this; empty without one."""
    path = repo.state_dir / DATABASE_NAME
    if not path.exists() or not is_trusted(repo.state_dir):
        return frozenset()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as found:
            return frozenset(
                str(row[0]) for row in found.execute("SELECT fingerprint FROM allowed")
            )
    except sqlite3.Error:  # another version, busy or damaged: nothing is allowed
        return frozenset()


def entries(db: Database) -> list[AllowedLine]:
    """All allowed lines, oldest first."""
    return read_entries(db.connection)


def read_entries(connection: sqlite3.Connection) -> list[AllowedLine]:
    """The allowed lines of a database, possibly of another version."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM allowed ORDER BY time, path, line")
    return [AllowedLine(str(f), decode_path(p), int(n), int(t)) for f, p, n, t in rows]


def write_entries(db: Database, kept: Iterable[AllowedLine]) -> None:
    """Add allowed lines to a database."""
    with db.transaction() as connection:
        connection.executemany(
            f"INSERT OR REPLACE INTO allowed ({_COLUMNS}) VALUES (?, ?, ?, ?)",
            [(e.fingerprint, os.fsencode(e.path), e.line, e.time) for e in kept],
        )
