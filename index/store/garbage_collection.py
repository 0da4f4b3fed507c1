"""Removes blobs that no worktree and no recent branch shows any more, after a grace period.

This is independent of git's own garbage collection: a blob that comes back is read and embedded
again, which costs time but loses nothing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import views as store
from git_copilot.index.store.contents import delete_blobs, unindex_words
from git_copilot.index.store.database import Database

DAY = 86_400
# As git's own gc.pruneExpire: a branch that was left for two weeks is rarely switched to again.
GRACE_DAYS = 14.0
# Words of hidden blobs slow down full-text search, and re-adding them is cheap.
WORDS_DAYS = 1.0
# Branches with a commit this recent are kept, however long ago the user left them.
BRANCH_DAYS = 60
MAX_BRANCHES = 100
# Views of commits (`--at`) and of training expire after this time without use.
TRANSIENT_VIEW_DAYS = 1.0
WORKTREES = "worktrees/"
# Blobs per transaction: a sync in between waits no longer than for another small sync.
BATCH = 100
# VACUUM pays if one part in SHRINK_SHARE of the database is unused.
SHRINK_SHARE = 4
_KEY = "collected"


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """Numbers of removed items; field names are those of ``index gc --json``."""

    views: int = 0
    blobs: int = 0
    chunks: int = 0
    vectors: int = 0
    seconds: float = 0.0


def is_due(db: Database, days: float = 1.0) -> bool:
    """Whether the last collection was more than ``days`` ago."""
    return time.time() - db.scalar("SELECT value FROM meta WHERE key = ?", (_KEY,)) > days * DAY


def collect(
    repo: GitRepository,
    db: Database,
    *,
    embedder: str | None = None,
    grace_days: float = GRACE_DAYS,
    dry_run: bool = False,
) -> GarbageReport:
    """Remove views of deleted worktrees, blobs that no view has shown for ``grace_days`` and that
    no recent branch contains, and vectors of other embedders once ``embedder`` has embedded all.

    Works in small transactions, so it can be killed and continued at any time.

    :raises GitError: git cannot list the branches' trees; then nothing is removed.
    """
    begun, now = time.monotonic(), time.time()
    passed = _expired_views(repo, db, now)
    if not dry_run:
        for view in passed:
            store.drop_view(db, view)
    hidden = _hidden(db, now - grace_days * DAY)
    kept = _branch_oids(repo, now) if hidden else frozenset()
    blobs = [blob_id for blob_id, oid in hidden if oid not in kept]
    if dry_run:
        return GarbageReport(
            len(passed), len(blobs), *_counted(db, blobs), time.monotonic() - begun
        )
    removed = chunks = vectors = 0
    for connection, batch in _still_hidden(db, blobs):
        gone = delete_blobs(connection, batch)
        removed, chunks, vectors = removed + len(batch), chunks + gone[0], vectors + gone[1]
    silent = [blob_id for blob_id, _ in _hidden(db, now - WORDS_DAYS * DAY)]
    for connection, batch in _still_hidden(db, silent):
        unindex_words(connection, batch)
    if embedder is not None:
        vectors += _drop_other_vectors(db, embedder)
    with db.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, str(int(now))))
    return GarbageReport(len(passed), removed, chunks, vectors, time.monotonic() - begun)


def _expired_views(repo: GitRepository, db: Database, now: float) -> list[str]:
    """Views of deleted worktrees, and transient views that were not used lately."""
    linked = repo.linked_views()
    rows = db.query("SELECT name, seen FROM views WHERE name != ''")
    return [
        str(name)
        for name, seen in rows
        if (
            name not in linked
            if str(name).startswith(WORKTREES)
            else int(str(seen)) <= now - TRANSIENT_VIEW_DAYS * DAY
        )
    ]


def _hidden(db: Database, until: float) -> list[tuple[int, str]]:
    """Database id and object id of the blobs that no view has shown since ``until``."""
    rows = db.query(
        "SELECT id, oid FROM blobs WHERE hidden_at <= ?"
        " AND NOT EXISTS (SELECT 1 FROM files WHERE blob_id = blobs.id) ORDER BY id",
        (int(until),),
    )
    return [(int(str(blob_id)), str(oid)) for blob_id, oid in rows]


def _still_hidden(
    db: Database, blobs: Sequence[int]
) -> Iterator[tuple[sqlite3.Connection, set[int]]]:
    """Yield batches of ``blobs``, each in its own transaction, without those that a view shows
    again."""
    for begin in range(0, len(blobs), BATCH):
        with db.transaction() as connection:
            batch = set(blobs[begin : begin + BATCH])
            shown = connection.execute(
                "SELECT value FROM json_each(?) WHERE EXISTS"
                " (SELECT 1 FROM files WHERE blob_id = value)",
                (json.dumps(list(batch)),),
            )
            yield connection, batch.difference([i for (i,) in shown.fetchall()])


def _branch_oids(repo: GitRepository, now: float) -> frozenset[str]:
    """Every object in the trees of recently updated branches."""
    listing = "--format=%(committerdate:unix) %(tree)"
    options = ("--sort=-committerdate", f"--count={MAX_BRANCHES}", listing)
    trees = []
    for line in repo.run("for-each-ref", *options, "refs/heads").decode().splitlines():
        date, tree = line.split()
        if int(date) > now - BRANCH_DAYS * DAY:
            trees.append(tree)
    if not trees:
        return frozenset()
    # A missing tree (a partial clone) keeps nothing: its blobs were never read.
    ask = ("rev-list", "--objects", "--no-object-names", "--no-walk", "--missing=allow-any")
    feed = "".join(f"{tree}\n" for tree in trees).encode()
    return frozenset(repo.run(*ask, "--stdin", stdin=feed).decode().split())


def _counted(db: Database, blobs: Collection[int]) -> tuple[int, int]:
    """Count the chunks and vectors of blobs."""
    of_blobs = "WHERE blob_id IN (SELECT value FROM json_each(?))"
    ids = (json.dumps(sorted(blobs)),)
    return (
        db.scalar(f"SELECT count(*) FROM chunks {of_blobs}", ids),
        db.scalar(f"SELECT count(*) FROM vectors JOIN chunks c ON c.id = chunk_id {of_blobs}", ids),
    )


def _drop_other_vectors(db: Database, embedder: str) -> int:
    """Delete the vectors of other embedders if ``embedder`` has embedded all visible blobs."""
    waiting = "SELECT count(*) FROM blobs WHERE hidden_at IS NULL AND embedder IS NOT ?"
    if db.scalar(waiting, (embedder,)):
        return 0
    removed = 0
    while True:
        with db.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM vectors WHERE seq IN"
                " (SELECT seq FROM vectors WHERE embedder != ? LIMIT 1000)",
                (embedder,),
            ).rowcount
        if not gone:
            return removed
        removed += gone


def shrink(db: Database) -> int:
    """Compact the database if a quarter of it or more is unused; return the bytes that were freed.

    :raises DatabaseError: another process is writing, or there is no disk space for a copy.
    """
    facts = ("freelist_count", "page_count", "page_size")
    free, pages, size = (db.scalar(f"PRAGMA {fact}") for fact in facts)
    if free * SHRINK_SHARE < pages:
        return 0
    db.query("VACUUM")
    db.query("PRAGMA wal_checkpoint(TRUNCATE)")
    return (pages - db.scalar("PRAGMA page_count")) * size
