"""Opens ``copilot.db``: version check, transactions, one-line errors."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Self

from git_copilot.index.core.errors import DatabaseError, NotInitialised
from git_copilot.index.store.database_files import (
    REBUILD_HINT,
    _disk_full_error,
    _empty_error,
    _is_checkpointed,
    is_busy,
    is_empty,
    is_full,
    translate_error,
)
from git_copilot.index.store.read_only import (
    file_state,
    is_write_refused,
    open_for_reading,
    read_only_error,
)
from git_copilot.index.text.chunking import CHUNKER_VERSION

DATABASE_NAME = "copilot.db"
# 1: first; 2: survival, filters, feedback, forgotten; 3: each text once, rules, hidden_at;
# 4: objects that commits wait for, case-insensitive names, allowed secrets
# 5: feedback in parts and by language, latency, what is retained
SCHEMA_VERSION = 5
# A sync of a large tree may hold the write lock for seconds; readers never wait (WAL).
BUSY_SECONDS = 30.0
# An empty file is either being created by another process, or was truncated.
EMPTY_SECONDS, POLL_SECONDS = 1.0, 0.02


class Database:
    """A connection to ``copilot.db``. Use one per thread; close it, or use it in ``with``."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the database; create its tables if ``create``.

        On a full disk SQLite cannot even read normally; the database is then opened read-only if
        its journal is empty. It is also opened read-only if this user may not write it.

        :raises NotInitialised: it does not exist and ``create`` is false.
        :raises DiskFull: the disk is full.
        :raises DatabaseError: it is damaged, of another version, or not readable.
        """
        self.path = path
        self.read_only = False
        self._state: tuple[object, ...] | None = None  # set if this user may not write it
        if not create and not path.exists():
            raise NotInitialised(
                "git-copilot is not set up in this repository", "run `git copilot init`"
            )
        with self._translated():
            try:
                self._connection = self._open(create)
            except sqlite3.Error as exc:
                self._connection = self._open_read_only(exc, create)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _open(self, create: bool) -> sqlite3.Connection:
        """Open a writable connection; the content is not checked.

        :raises DatabaseError: the file is empty, and is not to be created or is locked.
        """
        deadline = time.monotonic() + EMPTY_SECONDS
        while is_empty(self.path) and not create and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        empty = is_empty(self.path)
        if empty and not create:
            raise _empty_error(self.path)
        # A process that had the truncated file open keeps its lock until it exits.
        connection = self._connect(str(self.path), timeout=EMPTY_SECONDS if empty else BUSY_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            # Force the first read of the journal, which the settings above may not need.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException as exc:
            connection.close()
            if not (empty and isinstance(exc, sqlite3.Error) and is_busy(exc)):
                raise
            if is_empty(self.path):
                raise _empty_error(self.path) from exc
            return self._open(create)  # another process is creating it
        return connection

    def _open_read_only(self, exc: sqlite3.Error, create: bool) -> sqlite3.Connection:
        """A read-only connection, if missing permissions or a full disk caused ``exc``."""
        if is_write_refused(exc, self.path):
            self._state = file_state(self.path)
            if create:
                raise read_only_error(self.path) from exc
            self.read_only = True
            return open_for_reading(self.path, BUSY_SECONDS)
        if create or not is_full(exc, self.path) or not _is_checkpointed(self.path):
            raise exc
        self.read_only = True
        return self._connect(f"{self.path.absolute().as_uri()}?immutable=1")

    @property
    def sees_all_writes(self) -> bool:
        """Whether this connection sees what others write, and can write itself when possible."""
        if self._state is not None:
            return self._state == file_state(self.path)
        return not self.read_only

    @staticmethod
    def _connect(name: str, timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
            uri=name.startswith("file:"),
        )

    def _prepare(self) -> None:
        connection = self._connection
        if not self.read_only and not self._has_tables():
            schema = files("git_copilot.index.store").joinpath("schema.sql").read_text("utf-8")
            try:
                connection.executescript(
                    f"BEGIN IMMEDIATE;\n{schema}\n"
                    f"INSERT INTO meta VALUES ('schema', '{SCHEMA_VERSION}'), ('chunker',"
                    f" '{CHUNKER_VERSION}'), ('identity', '{secrets.token_hex(8)}');\nCOMMIT;"
                )
            except sqlite3.OperationalError:
                connection.rollback()
                if not self._has_tables():  # else another process was first
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
            if self._state is not None and not self.sees_all_writes:
                # The owner has written to a file that was opened as immutable.
                raise DatabaseError(f"{self.path} is being written", "try again") from exc
            raise translate_error(exc, self.path) from exc

    def check_writable(self) -> None:
        """
        :raises DiskFull: the disk is full.
        :raises ReadOnlyDatabase: this user may not write it.
        """
        if self.read_only:
            raise (
                read_only_error(self.path)
                if self._state is not None
                else _disk_full_error(self.path)
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run one write transaction, which is rolled back on any exception.

        :raises DiskFull: the disk is full.
        :raises ReadOnlyDatabase: this user may not write it.
        """
        self.check_writable()
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
        """A random id that differs between any two databases, even of the same repository."""
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
