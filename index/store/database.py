"""Opens ``copilot.db``: version check, transactions, errors in one line."""

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
# 4: what commits wait for, names in any case, secrets that are allowed
SCHEMA_VERSION = 4
# A sync of a large tree may hold the write lock for seconds; readers never wait (WAL).
BUSY_SECONDS = 30.0
# A file without a byte is one that somebody is just making, or one that was emptied.
EMPTY_SECONDS, POLL_SECONDS = 1.0, 0.02


class Database:
    """A connection to ``copilot.db``. Use one per thread; close it, or use it in ``with``."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the database, creating its tables when ``create``.

        On a full disk, where SQLite cannot even read as it is used to, it is opened for reading
        only when all of it is in the file; so is one that this user may not write.

        :raises NotInitialised: it does not exist and ``create`` is false.
        :raises DiskFull: the disk is full.
        :raises DatabaseError: it is damaged, of another version, or cannot be read.
        """
        self.path = path
        self.read_only = False
        self._state: tuple[object, ...] | None = None  # of one that this user may not write
        if not create and not path.exists():
            raise NotInitialised(
                "git-copilot does not know this repository yet", "run `git copilot init`"
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
        """A connection that can write, whatever may be in the file.

        :raises DatabaseError: it is empty, and not to be created or held by another process.
        """
        deadline = time.monotonic() + EMPTY_SECONDS
        while is_empty(self.path) and not create and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        empty = is_empty(self.path)
        if empty and not create:
            raise _empty_error(self.path)
        # Who still has open what was emptied keeps the lock for as long as it runs.
        connection = self._connect(str(self.path), timeout=EMPTY_SECONDS if empty else BUSY_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            # The first look into the journal, which the settings need not take.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException as exc:
            connection.close()
            if not (empty and isinstance(exc, sqlite3.Error) and is_busy(exc)):
                raise
            if is_empty(self.path):
                raise _empty_error(self.path) from exc
            return self._open(create)  # another process has begun to make it
        return connection

    def _open_read_only(self, exc: sqlite3.Error, create: bool) -> sqlite3.Connection:
        """A connection that can only read, where that is why it cannot be opened as usual."""
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
        """Whether what others write can be seen here, and written once that is possible."""
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
            if self._state is not None and not self.sees_all_writes:
                # Its owner wrote into what was thought to be unchangeable.
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
        """One write transaction: all of it, or nothing.

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
