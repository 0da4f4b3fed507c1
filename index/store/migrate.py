"""Copies data that git cannot reproduce to a new database: forget rules, allowed secrets and
feedback."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from git_copilot.index.store import allowed_lines
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import is_empty, is_transient, translate_error
from git_copilot.index.store.forget import ForgetRule, read_entries, write_entries

T = TypeVar("T")
_HOLE = ("commit_oid", "path", "start_byte", "end_byte", "blob", "language", "kind")


@dataclass(frozen=True, slots=True)
class PreservedData:
    """Rows of the old database by column. ``waiting`` are completions whose outcome no commit has
    shown yet, ``resolved`` the others, each with its hole."""

    forgotten: list[ForgetRule] = field(default_factory=list)
    allowed: list[allowed_lines.AllowedLine] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    resolved: list[tuple[dict[str, Any], tuple[Any, ...]]] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    latency: list[dict[str, Any]] = field(default_factory=list)


def read_preserved(database: Path) -> PreservedData | None:
    """Read the data to preserve from a database, possibly of another version; ``None`` if it is
    damaged.

    :raises DatabaseError: it may be intact but cannot be read now: the disk is full, or it is busy.
    """
    if not database.exists():
        return PreservedData()
    if is_empty(database):
        return None
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("SELECT * FROM meta").fetchall()  # fails if it is not a database
            tables = {n for (n,) in connection.execute("SELECT name FROM sqlite_master")}
            read = _reader(connection, tables)
            feedback, days = read("feedback"), read("feedback_days")
            latency = read("feedback_latency")
            forgotten = read_entries(connection) if "forgotten" in tables else []
            taken_in = allowed_lines.read_entries(connection) if "allowed" in tables else []
            holes = _holes(connection) if {"feedback", "holes"} <= tables else {}
    except sqlite3.Error as exc:
        if is_transient(exc, database):
            raise translate_error(exc, database) from exc
        return None
    resolved = [(row, holes[row["id"]]) for row in feedback if row["id"] in holes]
    waiting = [r for r in feedback if r["id"] not in holes]
    return PreservedData(forgotten, taken_in, waiting, resolved, days, latency)


def _reader(
    connection: sqlite3.Connection, tables: set[str]
) -> Callable[[str], list[dict[str, Any]]]:
    def read(table: str) -> list[dict[str, Any]]:
        if table not in tables:
            return []
        found = connection.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    return read


def _holes(connection: sqlite3.Connection) -> dict[str, tuple[Any, ...]]:
    """The holes of resolved completions, by completion id."""
    columns = ", ".join(f"h.{name}" for name in _HOLE)
    rows = connection.execute(
        f"SELECT f.id, {columns} FROM feedback f JOIN holes h ON h.id = f.hole_id"
    )
    return {name: tuple(hole) for name, *hole in rows}


def write_before_mining(db: Database, old: PreservedData) -> None:
    """Write what mining needs: forget rules, allowed lines, and completions that wait for a commit.
    All commits will be mined again, so the tries of each completion start at zero."""
    write_entries(db, old.forgotten)
    allowed_lines.write_entries(db, old.allowed)
    with db.transaction() as connection:
        for row in old.waiting:
            _insert(connection, "feedback", {**row, "tries": 0, "hole_id": None})
        for row in old.days:
            _insert(connection, "feedback_days", row)
        for row in old.latency:
            _insert(connection, "feedback_latency", row)


def write_after_mining(db: Database, old: PreservedData) -> None:
    """Write resolved completions; if the commit is no longer mined, the completion waits for
    another one."""
    names, marks = ", ".join(_HOLE), ", ".join("?" * len(_HOLE))
    with db.transaction() as connection:
        for row, hole in old.resolved:
            mined = "SELECT 1 FROM commits WHERE oid = ? AND status = 'mined'"
            if connection.execute(mined, hole[:1]).fetchone() is None:
                _insert(connection, "feedback", {**row, "tries": 0, "hole_id": None})
                continue
            connection.execute(
                f"INSERT INTO holes ({names}) VALUES ({marks}) ON CONFLICT"
                " (commit_oid, path, start_byte, end_byte) DO UPDATE SET kind = excluded.kind",
                hole,
            )
            (number,) = connection.execute(
                "SELECT id FROM holes"
                " WHERE commit_oid = ? AND path = ? AND start_byte = ? AND end_byte = ?",
                hole[:4],
            ).fetchone()
            _insert(connection, "feedback", {**row, "hole_id": number})


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row, dropping columns that the table no longer has."""
    known = {each[1] for each in connection.execute(f"PRAGMA table_info({table})")}
    kept = {name: value for name, value in row.items() if name in known}
    names, marks = ", ".join(kept), ", ".join("?" * len(kept))
    connection.execute(
        f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", list(kept.values())
    )
