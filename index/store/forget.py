"""Removes what the user asked to forget from index and corpus, and keeps it out.

git's own history is not changed; only the data derived from it.
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
# The reason why a file, or a whole commit, has no holes.
REASON = "forgotten"
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ForgetRule:
    """One rule: a path, folder or glob of the repository, a full commit id, or an author. ``time``
    is when it was added, in seconds since 1970."""

    kind: str
    value: str
    time: int


def path_matches(pattern: str, path: str) -> bool:
    """Whether ``path`` equals ``pattern``, is inside a folder of that name, or matches it as a
    glob, in which ``*`` also matches slashes as in git's pathspecs."""
    if path == pattern or path.startswith(f"{pattern}/"):
        return True
    if _GLOB.isdisjoint(pattern):
        return False
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")


def author_matches(value: str, identity: str) -> bool:
    """Whether ``value`` is the name, the address or all of ``Name <address>``, ignoring case."""
    name, _, address = identity.casefold().rpartition(" <")
    return value.casefold() in (identity.casefold(), name, address.removesuffix(">"))


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The rules, compiled for matching."""

    paths: tuple[str, ...] = ()
    commits: frozenset[str] = frozenset()
    authors: tuple[str, ...] = ()

    @classmethod
    def load(cls, db: Database) -> Self:
        """Load the current rules of ``db``."""
        found = entries(db)
        return cls(
            tuple(e.value for e in found if e.kind == PATH),
            frozenset(e.value for e in found if e.kind == COMMIT),
            tuple(e.value for e in found if e.kind == AUTHOR),
        )

    def covers_path(self, path: str) -> bool:
        """Whether files at ``path`` must not be indexed."""
        return any(path_matches(pattern, path) for pattern in self.paths)

    def covers_commit(self, oid: str) -> bool:
        """Whether a commit must not be used for training."""
        return oid in self.commits

    def covers_author(self, identity: str) -> bool:
        """Whether commits of ``Name <address>`` must not be used for training."""
        return any(author_matches(value, identity) for value in self.authors)


NOTHING_FORGOTTEN = Forgotten()


@dataclass(frozen=True, slots=True)
class RemovalCounts:
    """Result of forgetting: removed holes and their commits, indexed paths, chunks and vectors that
    are not used elsewhere, and reported completions."""

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
    """All rules, oldest first."""
    rows = db.query("SELECT kind, value, time FROM forgotten ORDER BY time, kind, value")
    return [_entry(row) for row in rows]


def _entry(row: Sequence[object]) -> ForgetRule:
    kind, value, when = row
    text = os.fsdecode(value) if isinstance(value, bytes) else str(value)
    return ForgetRule(str(kind), text, int(str(when)))


def _stored(value: str) -> str | bytes:
    """A path need not be valid UTF-8, but text in the database must be."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return os.fsencode(value)
    return value


def forget(db: Database, kind: str, value: str, *, dry_run: bool = False) -> RemovalCounts:
    """Remove something from index and corpus and add a rule for it. :func:`scrub` then makes the
    deleted data unreadable.

    With a path, all blobs that no worktree shows are deleted too, since their paths are unknown.

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
            # Invalidates earlier snapshots of vectors.
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
    """Delete holes and the completions that became them; return the number of completions."""
    ids = [number for number, _ in holes]
    said = _each(connection, "DELETE FROM feedback WHERE hole_id = ?", ids)
    _each(connection, "DELETE FROM holes WHERE id = ?", ids)
    return said


def _each(connection: sqlite3.Connection, sql: str, values: Iterable[object]) -> int:
    return sum(connection.execute(sql, (value,)).rowcount for value in values)


def scrub(db: Database, state_dir: Path) -> None:
    """Make deleted data unreadable: delete the snapshot of vectors and the leftovers of a killed
    rebuild, rewrite the full-text index and the database, and truncate its journal.

    :raises DatabaseError: another process keeps the old state open.
    """
    for path in (*state_dir.glob("vectors.*"), *state_dir.glob(".vectors.*")):
        path.unlink(missing_ok=True)
    remove_database(replacement_path(db.path))
    with db.transaction() as connection:
        # Deleted words stay in the full-text index until its segments are merged.
        connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('optimize')")
    db.query("VACUUM")
    if db.scalar("PRAGMA wal_checkpoint(TRUNCATE)"):
        raise DatabaseError(
            f"another process is reading {db.path}, so the forgotten data is still readable there",
            "stop that process, then repeat the command",
        )


def undo(db: Database, entry: ForgetRule) -> None:
    """Delete a rule. Commits that lost holes to any rule are mined again, and the next sync
    compares each worktree's view with its whole tree."""
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
    """The rules of a database, possibly of another version."""
    return [_entry(r) for r in connection.execute("SELECT kind, value, time FROM forgotten")]


def write_entries(db: Database, kept: Iterable[ForgetRule]) -> None:
    """Add rules of an old database to a new one."""
    with db.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO forgotten VALUES (?, ?, ?)",
            [(e.kind, _stored(e.value), e.time) for e in kept],
        )


def authors(repo: GitRepository) -> dict[str, str]:
    """The authors of all commits that a ref reaches, after ``.mailmap``, by commit id."""
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
    """The commits in all of git's history that a rule applies to."""
    if kind == COMMIT:
        return {value}
    if kind == AUTHOR:
        return {oid for oid, identity in authors(repo).items() if author_matches(value, identity)}
    literal = ("--literal-pathspecs",) if _GLOB.isdisjoint(value) else ()
    args = ("log", "--all", "--no-show-signature", "--full-history", "--format=%H", "--", value)
    return set(repo.run(*literal, *args).decode().split())
