"""Lines that look like secrets and that the user takes in all the same.

A line is known by a hash of its text without the white space around it: it stays allowed where it
is moved, indented, or copied to, and is judged again as soon as it says something else.
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
    """A line that is allowed; ``path`` and ``line`` (1-based) are where it stood when that was
    asked, at ``time`` (seconds since 1970)."""

    fingerprint: str
    path: str
    line: int
    time: int


def load(db: Database) -> Allowed:
    """The fingerprints of all lines that are allowed."""
    return frozenset(str(row[0]) for row in db.query("SELECT fingerprint FROM allowed"))


def allowed_in(repo: GitRepository) -> Allowed:
    """The same of a repository whose database nobody has open here; none where it has none."""
    path = repo.state_dir / DATABASE_NAME
    if not path.exists() or not is_trusted(repo.state_dir):
        return frozenset()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as found:
            return frozenset(
                str(row[0]) for row in found.execute("SELECT fingerprint FROM allowed")
            )
    except sqlite3.Error:  # of another version, busy or damaged: nothing is allowed
        return frozenset()


def entries(db: Database) -> list[AllowedLine]:
    """All that is allowed, oldest first."""
    return read_entries(db.connection)


def read_entries(connection: sqlite3.Connection) -> list[AllowedLine]:
    """What a database, also one of another version, allows."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM allowed ORDER BY time, path, line")
    return [AllowedLine(str(f), decode_path(p), int(n), int(t)) for f, p, n, t in rows]


def write_entries(db: Database, kept: Iterable[AllowedLine]) -> None:
    """Note in a database what is allowed."""
    with db.transaction() as connection:
        connection.executemany(
            f"INSERT OR REPLACE INTO allowed ({_COLUMNS}) VALUES (?, ?, ?, ?)",
            [(e.fingerprint, os.fsencode(e.path), e.line, e.time) for e in kept],
        )
