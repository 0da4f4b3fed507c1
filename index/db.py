"""Opens ``copilot.db``: version check, transactions, errors in one line."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Self

from git_copilot.index.chunk import CHUNKER_VERSION
from git_copilot.index.errors import DatabaseError, NotInitialised

DATABASE_NAME = "copilot.db"
# 1: first; 2: survival, filters, feedback, forgotten; 3: each text once, rules, hidden_at
SCHEMA_VERSION = 3
# A sync of a large tree may hold the write lock for seconds; readers never wait (WAL).
BUSY_SECONDS = 30.0
REBUILD_HINT = "`git copilot index --rebuild` makes a new one; adapters and settings are kept"


class Database:
    """A connection to ``copilot.db``. Use one per thread; close it, or use it in ``with``."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the database, creating its tables when ``create``.

        :raises NotInitialised: it does not exist and ``create`` is false.
        :raises DatabaseError: it is damaged, of another version, or cannot be read.
        """
        self.path = path
        if not create and not path.exists():
            raise NotInitialised(
                "git-copilot does not know this repository yet", "run `git copilot init`"
            )
        with self._translated():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute("PRAGMA foreign_keys = ON")
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        connection = self._connection
        if not self._has_tables():
            schema = files("git_copilot.index").joinpath("schema.sql").read_text("utf-8")
            try:
                connection.executescript(
                    f"BEGIN IMMEDIATE;\n{schema}\n"
                    f"INSERT INTO meta VALUES ('schema', '{SCHEMA_VERSION}'), ('chunker',"
                    f" '{CHUNKER_VERSION}'), ('identity', '{secrets.token_hex(8)}');\nCOMMIT;"
                )
            except sqlite3.OperationalError:
                connection.rollback()
                if not self._has_tables():  # another process, a worker perhaps, was first
                    raise
        found = dict(connection.execute("SELECT key, value FROM meta"))
        wanted = {"schema": str(SCHEMA_VERSION), "chunker": str(CHUNKER_VERSION)}
        if {key: found.get(key) for key in wanted} != wanted:
            raise DatabaseError(
                f"{self.path} was made by another version of git-copilot", REBUILD_HINT
            )

    def _has_tables(self) -> bool:
        sql = "SELECT 1 FROM sqlite_master WHERE name = 'meta'"
        return self._connection.execute(sql).fetchone() is not None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise self._explain(exc) from exc

    def _explain(self, exc: sqlite3.Error) -> DatabaseError:
        text = str(exc)
        if "malformed" in text or "not a database" in text or "no such" in text:
            return DatabaseError(f"{self.path} is damaged ({text})", REBUILD_HINT)
        if "full" in text:
            return DatabaseError(f"no room to write {self.path}", "free some disk space")
        if "locked" in text:
            return DatabaseError(f"{self.path} is busy", "another process is writing; try again")
        if "readonly" in text or "unable to open" in text:
            return DatabaseError(f"cannot write {self.path} ({text})", "check its permissions")
        return DatabaseError(f"{self.path}: {text}", REBUILD_HINT)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of it, or nothing."""
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.execute("COMMIT")

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Run a SELECT and return all rows."""
        with self._translated():
            return self._connection.execute(sql, parameters).fetchall()

    def scalar(self, sql: str, parameters: tuple[object, ...] = ()) -> int:
        """The single integer that a SELECT returns (0 for no row or NULL)."""
        rows = self.query(sql, parameters)
        return int(str(rows[0][0])) if rows and rows[0][0] is not None else 0

    @property
    def identity(self) -> str:
        """Differs between any two databases, also of the same repository."""
        return str(self.query("SELECT value FROM meta WHERE key = 'identity'")[0][0])

    @property
    def connection(self) -> sqlite3.Connection:
        """For streaming reads; errors are not translated."""
        return self._connection

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def stored_path(raw: object) -> str:
    """A path as the database has it, in raw bytes, as text."""
    return os.fsdecode(bytes(raw))  # type: ignore[call-overload, no-any-return, unused-ignore]


def remove_database(path: Path) -> None:
    """Delete the database and its journals; the next :class:`Database` starts from nothing."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
