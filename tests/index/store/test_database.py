"""Errors of SQLite: each names the reason and the remedy that fits."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing

import pytest

from git_copilot.index.core.errors import DatabaseError, DiskFull
from git_copilot.index.store import database as module
from git_copilot.index.store.database import BUSY_SECONDS, DATABASE_NAME, Database
from git_copilot.index.store.database_files import (
    replace_database,
    replacement_path,
    translate_error,
)
from git_copilot.index.store.forget import PATH, ForgetRule, scrub, write_entries
from git_copilot.index.store.migrate import read_preserved


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "wörk #1?" / DATABASE_NAME
    path.parent.mkdir()
    with Database(path, create=True) as db:
        write_entries(db, [ForgetRule(PATH, "docs", 7)])
    return path


def error(code, text="disk I/O error"):
    made = sqlite3.OperationalError(text)
    made.sqlite_errorcode = code
    return made


@pytest.fixture
def full_disk(monkeypatch):
    """Simulates a full disk: the system reports it, and SQLite cannot create its WAL index."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))

    class Cramped(sqlite3.Connection):
        def execute(self, sql, *args):
            if "journal_mode" in sql:
                raise error(sqlite3.SQLITE_IOERR_SHMSIZE)
            return super().execute(sql, *args)

    real = sqlite3.connect

    def connect(name, **how):
        return real(name, **how, factory=sqlite3.Connection if how.get("uri") else Cramped)

    monkeypatch.setattr(module.sqlite3, "connect", connect)


def test_a_database_that_cannot_grow_reports_a_full_disk(path):
    with Database(path) as db:
        pages = db.scalar("PRAGMA page_count")
        db.query(f"PRAGMA max_page_count = {pages}")
        with (
            pytest.raises(DiskFull, match=r"the disk is full.*free some disk space"),
            db.transaction() as c,
        ):
            c.execute("INSERT INTO meta VALUES ('x', ?)", ("y" * 100_000,))
        db.query("PRAGMA max_page_count = 100000")
        with db.transaction() as c:
            c.execute("INSERT INTO meta VALUES ('x', ?)", ("y" * 100_000,))


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_CANTOPEN]
)
def test_an_io_error_is_reported_as_full_disk_or_as_damage(path, monkeypatch, code):
    assert "disk is full" not in str(translate_error(error(code), path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    told = translate_error(error(code), path)
    assert isinstance(told, DiskFull)
    assert "--rebuild" not in str(told) and "free some disk space" in str(told)
    assert "damaged" in str(translate_error(error(sqlite3.SQLITE_CORRUPT, "malformed"), path))


def test_on_a_full_disk_reads_work_and_writes_explain(path, full_disk):
    with Database(path) as db:
        assert db.read_only and db.query("SELECT value FROM forgotten") == [("docs",)]
        with pytest.raises(DiskFull), db.transaction():
            raise AssertionError
    with pytest.raises(DiskFull):
        Database(path, create=True)


def test_on_a_full_disk_journal_content_is_still_read(path, full_disk):
    path.with_name(f"{path.name}-wal").write_bytes(b"committed")
    with pytest.raises(DiskFull):
        Database(path)


def test_an_empty_database_file_is_reported_while_open_elsewhere(path):
    with Database(path) as held:
        held.query("SELECT * FROM meta")
        path.write_bytes(b"")
        for create in (False, True):
            begun = time.monotonic()
            with pytest.raises(DatabaseError, match=r"is empty.*--rebuild"):
                Database(path, create=create)
            assert time.monotonic() - begun < BUSY_SECONDS / 3
        assert read_preserved(path) is None


def test_an_empty_file_becomes_a_database_when_creating(path):
    for found in path.parent.iterdir():
        found.unlink()
    path.touch()
    with pytest.raises(DatabaseError, match=r"is empty.*--rebuild"):
        Database(path)
    with Database(path, create=True) as db:
        assert db.scalar("PRAGMA busy_timeout") == BUSY_SECONDS * 1000
        # Never empty from now on, or it would be taken for a file that was emptied.
        assert path.stat().st_size


def test_an_unreadable_forgotten_list_is_an_error_not_an_empty_list(path, monkeypatch):
    assert read_preserved(path).forgotten == [ForgetRule(PATH, "docs", 7)]
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("CREATE TABLE held (x)")
        monkeypatch.setattr("sqlite3.connect", _hurried(sqlite3.connect))
        with pytest.raises(DatabaseError, match="busy"):
            read_preserved(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))

    def connect(*_args, **_how):
        raise error(sqlite3.SQLITE_IOERR_SHMSIZE)

    monkeypatch.setattr("sqlite3.connect", connect)
    with pytest.raises(DiskFull):
        read_preserved(path)


def _hurried(connect):
    return lambda name: connect(name, timeout=0)


def test_replacing_a_database_discards_the_old_journal(path):
    with Database(replacement_path(path), create=True) as new:
        identity = new.identity
    with Database(path) as old:
        with old.transaction() as connection:
            connection.execute("INSERT INTO meta VALUES ('x', 'y')")
        assert path.with_name(f"{path.name}-wal").stat().st_size
        replace_database(path)
        with Database(path) as db:
            assert db.identity == identity
            assert not db.query("SELECT 1 FROM meta WHERE key = 'x'")
    with Database(path) as db:
        assert db.identity == identity and db.query("PRAGMA integrity_check") == [("ok",)]


def test_forgetting_removes_leftovers_of_a_killed_rebuild(path):
    replacement_path(path).write_bytes(b"secret")
    with Database(path) as db:
        scrub(db, path.parent)
    assert not replacement_path(path).exists()
