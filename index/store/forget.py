"""What the user asked to forget: taken out of all that was made of it, and never taken in again.

Git's own history stays as it is; forgetting is about what was read from it.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from git_copilot.index.core.errors import DatabaseError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import views
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import remove_database, replacement_path

PATH, COMMIT, AUTHOR = "path", "commit", "author"
# Why a file, or a whole commit, gave no holes.
REASON = "forgotten"
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ForgetRule:
    """One thing that is forgotten: a path, folder or glob of the repository, a commit's full id,
    or an author. ``time`` is when it was asked, in seconds since 1970."""

    kind: str
    value: str
    time: int


def path_matches(pattern: str, path: str) -> bool:
    """Whether ``path`` is ``pattern``, lies in a folder of that name, or fits it as a glob, in
    which ``*`` goes over slashes as in git's pathspecs."""
    if path == pattern or path.startswith(f"{pattern}/"):
        return True
    if _GLOB.isdisjoint(pattern):
        return False
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")


def author_matches(value: str, identity: str) -> bool:
    """Whether ``value`` is the name, the address or the whole of ``Name <address>``, whatever the
    case."""
    name, _, address = identity.casefold().rpartition(" <")
    return value.casefold() in (identity.casefold(), name, address.removesuffix(">"))


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Answers whether something must not be taken in."""

    paths: tuple[str, ...] = ()
    commits: frozenset[str] = frozenset()
    authors: tuple[str, ...] = ()

    @classmethod
    def load(cls, db: Database) -> Self:
        """What ``db`` says is forgotten, as of now."""
        found = entries(db)
        return cls(
            tuple(e.value for e in found if e.kind == PATH),
            frozenset(e.value for e in found if e.kind == COMMIT),
            tuple(e.value for e in found if e.kind == AUTHOR),
        )

    def path(self, path: str) -> bool:
        """Whether a file of that path is to be left alone."""
        return any(path_matches(pattern, path) for pattern in self.paths)

    def commit(self, oid: str) -> bool:
        """Whether nothing is to be learnt from a commit."""
        return oid in self.commits

    def author(self, identity: str) -> bool:
        """The same for all commits of ``Name <address>``."""
        return any(author_matches(value, identity) for value in self.authors)


NOTHING_FORGOTTEN = Forgotten()


@dataclass(frozen=True, slots=True)
class RemovalCounts:
    """What forgetting took away: holes, the commits that they were of, paths of the index, the
    chunks and vectors that nothing else shows, and completions people reported on."""

    holes: int = 0
    commits: frozenset[str] = frozenset()
    files: int = 0
    chunks: int = 0
    vectors: int = 0
    feedback: int = 0


class _DryRun(Exception):
    def __init__(self, removed: RemovalCounts) -> None:
        self.removed = removed


def entries(db: Database) -> list[ForgetRule]:
    """All that is forgotten, oldest first."""
    rows = db.query("SELECT kind, value, time FROM forgotten ORDER BY time, kind, value")
    return [_entry(row) for row in rows]


def _entry(row: Sequence[object]) -> ForgetRule:
    kind, value, when = row
    text = os.fsdecode(value) if isinstance(value, bytes) else str(value)
    return ForgetRule(str(kind), text, int(str(when)))


def _stored(value: str) -> str | bytes:
    """A path need not be UTF-8, a text of the database must."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return os.fsencode(value)
    return value


def forget(db: Database, kind: str, value: str, *, dry_run: bool = False) -> RemovalCounts:
    """Take something out of index and corpus and note it. :func:`scrub` makes it unreadable.

    Blobs that no worktree shows go with a path: nobody knows under which paths they were.

    :param kind: :data:`PATH`, :data:`COMMIT` (``value`` is a full id) or :data:`AUTHOR`.
    :param dry_run: only count.
    :raises DatabaseError: the database is busy or damaged.
    """
    assert kind in (PATH, COMMIT, AUTHOR)
    remove = _remove_path if kind == PATH else _remove_commits
    try:
        with db.transaction() as connection:
            removed = remove(connection, kind, value)
            if dry_run:
                raise _DryRun(removed)
            connection.execute(
                "INSERT OR REPLACE INTO forgotten VALUES (?, ?, ?)",
                (kind, _stored(value), int(time.time())),
            )
            # Snapshots of vectors that were made before are not taken for this database's.
            connection.execute(
                "UPDATE meta SET value = ? WHERE key = 'identity'", (secrets.token_hex(8),)
            )
    except _DryRun as exc:
        return exc.removed
    return removed


def _remove_path(connection: sqlite3.Connection, kind: str, value: str) -> RemovalCounts:
    rows = connection.execute(
        "SELECT path FROM files UNION SELECT path FROM holes UNION SELECT path FROM feedback"
    )
    paths = [raw for (raw,) in rows.fetchall() if path_matches(value, os.fsdecode(raw))]
    index = views.remove_paths(connection, paths)
    said = _each(connection, "DELETE FROM feedback WHERE path = ?", paths)
    holes: list[tuple[int, str]] = []
    for raw in paths:
        holes += connection.execute("SELECT id, commit_oid FROM holes WHERE path = ?", (raw,))
    for _, oid in holes:
        connection.execute(
            "INSERT INTO left_out VALUES (?, ?, 1)"
            " ON CONFLICT (commit_oid, reason) DO UPDATE SET count = count + 1",
            (oid, REASON),
        )
    said += _remove_holes(connection, holes)
    return RemovalCounts(len(holes), frozenset(oid for _, oid in holes), *index, said)


def _remove_commits(connection: sqlite3.Connection, kind: str, value: str) -> RemovalCounts:
    rows = connection.execute("SELECT oid, author FROM commits").fetchall()
    oids = [o for o, who in rows if (o == value if kind == COMMIT else author_matches(value, who))]
    holes: list[tuple[int, str]] = []
    for oid in oids:
        holes += connection.execute("SELECT id, commit_oid FROM holes WHERE commit_oid = ?", (oid,))
    said = _remove_holes(connection, holes)
    _each(connection, "DELETE FROM left_out WHERE commit_oid = ?", oids)
    _each(connection, f"UPDATE commits SET status = '{REASON}' WHERE oid = ?", oids)
    return RemovalCounts(len(holes), frozenset(oid for _, oid in holes), feedback=said)


def _remove_holes(connection: sqlite3.Connection, holes: Sequence[tuple[int, str]]) -> int:
    """Remove holes and the completions that became them; return how many of the latter."""
    ids = [number for number, _ in holes]
    said = _each(connection, "DELETE FROM feedback WHERE hole_id = ?", ids)
    _each(connection, "DELETE FROM holes WHERE id = ?", ids)
    return said


def _each(connection: sqlite3.Connection, sql: str, values: Iterable[object]) -> int:
    return sum(connection.execute(sql, (value,)).rowcount for value in values)


def scrub(db: Database, state_dir: Path) -> None:
    """Make what was deleted unreadable: the snapshot of vectors and what a killed rebuild left go,
    the word lists and the database are written anew, its journal is emptied.

    :raises DatabaseError: another process keeps the old state open.
    """
    for path in (*state_dir.glob("vectors.*"), *state_dir.glob(".vectors.*")):
        path.unlink(missing_ok=True)
    remove_database(replacement_path(db.path))
    with db.transaction() as connection:
        # Deleted words stay in the lists until these are merged.
        connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('optimize')")
    db.query("VACUUM")
    if db.scalar("PRAGMA wal_checkpoint(TRUNCATE)"):
        raise DatabaseError(
            f"{db.path} is read by another process, which keeps what was forgotten readable",
            "end it, then forget the same again",
        )


def undo(db: Database, entry: ForgetRule) -> None:
    """Allow something again. Commits that lost holes by any forgetting are mined anew, and each
    worktree's view is compared with its whole tree by the next sync."""
    with db.transaction() as connection:
        connection.execute(
            "DELETE FROM forgotten WHERE kind = ? AND value = ?", (entry.kind, _stored(entry.value))
        )
        connection.execute(
            "DELETE FROM commits WHERE status = ?"
            " OR oid IN (SELECT commit_oid FROM left_out WHERE reason = ?)",
            (REASON, REASON),
        )
        if entry.kind == PATH:
            connection.execute("UPDATE views SET tree = ''")


def read_entries(connection: sqlite3.Connection) -> list[ForgetRule]:
    """What a database, also one of another version, says is forgotten."""
    return [_entry(r) for r in connection.execute("SELECT kind, value, time FROM forgotten")]


def write_entries(db: Database, kept: Iterable[ForgetRule]) -> None:
    """Note in a new database what was forgotten in the one before."""
    with db.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO forgotten VALUES (?, ?, ?)",
            [(e.kind, _stored(e.value), e.time) for e in kept],
        )


def authors(repo: GitRepository) -> dict[str, str]:
    """Every commit that a ref reaches, with its author as ``.mailmap`` names them."""
    args = (
        "log",
        "--all",
        "--no-show-signature",
        "-z",
        "--encoding=UTF-8",
        "--format=%H %aN <%aE>",
    )
    found = {}
    for record in repo.run(*args).decode("utf-8", "replace").split("\0"):
        oid, _, identity = record.partition(" ")
        found[oid] = identity
    return found


def commits_of(repo: GitRepository, kind: str, value: str) -> set[str]:
    """The commits that something forgotten is part of, by all of git's history."""
    if kind == COMMIT:
        return {value}
    if kind == AUTHOR:
        return {oid for oid, identity in authors(repo).items() if author_matches(value, identity)}
    literal = ("--literal-pathspecs",) if _GLOB.isdisjoint(value) else ()
    args = ("log", "--all", "--no-show-signature", "--full-history", "--format=%H", "--", value)
    return set(repo.run(*literal, *args).decode().split())
