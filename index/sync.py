"""Brings the index level with a tree: plan (pure), then apply in small transactions.

A blob seen before costs nothing, whatever path, branch or worktree it comes back under. A kill
between transactions leaves blobs that the next run finds, and a view that still shows the old
tree.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from git_copilot.index import store
from git_copilot.index.chunk import chunk_blob
from git_copilot.index.classify import MAX_FILE_BYTES, language_of, skip_content, skip_path
from git_copilot.index.db import Database
from git_copilot.index.forget import Forgotten
from git_copilot.index.git import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.secrets import secret_lines
from git_copilot.index.types import (
    Change,
    Embedder,
    Progress,
    SyncReport,
    TreeEntry,
    no_progress,
)

# Blobs per transaction: a kill loses at most this much work, and readers never wait for it.
BLOB_BATCH = 200
EMBED_BATCH = 512


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What must change in a view that shows the tree ``base``: paths that go, and entries that
    come or are replaced."""

    base: str | None
    removed: tuple[str, ...]
    added: tuple[TreeEntry, ...]

    @property
    def keys(self) -> list[store.BlobKey]:
        """The blobs that the added entries need, each once, in path order."""
        return list(dict.fromkeys((e.oid, language_of(e.path)) for e in self.added))


def _indexable(entry: TreeEntry, forgotten: Forgotten) -> bool:
    return (
        entry.mode not in (SUBMODULE, SYMLINK)
        and skip_path(entry.path) is None
        and not forgotten.path(entry.path)
    )


def plan_from_changes(base: str, changes: Iterable[Change], forgotten: Forgotten) -> SyncPlan:
    """The plan for the difference of two trees, the older one being ``base``."""
    removed, added = [], []
    for change in changes:
        if change.new is not None and _indexable(change.new, forgotten):
            added.append(change.new)
        elif change.old is not None and _indexable(change.old, forgotten):
            removed.append(change.path)
    return SyncPlan(base, tuple(removed), tuple(added))


def plan_from_tree(
    base: str | None,
    entries: Iterable[TreeEntry],
    known_paths: Iterable[str],
    forgotten: Forgotten,
) -> SyncPlan:
    """The plan for a whole tree over a view of ``base`` that lists ``known_paths``."""
    added = tuple(e for e in entries if _indexable(e, forgotten))
    paths = {e.path for e in added}
    return SyncPlan(base, tuple(sorted(p for p in known_paths if p not in paths)), added)


def plan_sync(repo: GitRepository, db: Database, view: str, tree: str) -> SyncPlan:
    """Plan bringing ``view`` to ``tree`` (from nothing if the old tree is gone)."""
    old = store.view_tree(db, view)
    if old == tree:
        return SyncPlan(old, (), ())
    forgotten = Forgotten.load(db)
    if old is not None and repo.has_object(old):
        return plan_from_changes(old, repo.diff_trees(old, tree), forgotten)
    return plan_from_tree(old, repo.ls_tree(tree), store.view_paths(db, view), forgotten)


def sync(
    repo: GitRepository,
    db: Database,
    embedder: Embedder | None,
    *,
    view: str | None = None,
    tree: str | None = None,
    progress: Progress = no_progress,
) -> SyncReport:
    """Bring ``view`` (default: this worktree's) level with ``tree`` (default: HEAD's).

    Without an ``embedder`` the chunks are findable by name and text at once, and their vectors
    are left to the next sync that has one.

    :raises GitError: git cannot read the tree.
    """
    begun = time.monotonic()
    view = repo.view_name if view is None else view
    tree = tree or repo.shown_tree()
    added_blobs = added_chunks = removed_blobs = 0
    while store.view_tree(db, view) != tree:
        identity = db.identity
        plan = plan_sync(repo, db, view, tree)
        blob_ids, blobs, chunks = _store_blobs(repo, db, plan.keys, progress)
        added_blobs += blobs
        added_chunks += chunks
        with db.transaction() as connection:
            # Another process may have moved the view meanwhile, or the user may have asked to
            # forget something, which changes the identity: then the plan is void.
            if (store.view_tree(db, view), db.identity) == (plan.base, identity):
                removed_blobs = store.set_view(
                    connection,
                    view,
                    tree,
                    [*plan.removed, *(e.path for e in plan.added)],
                    [
                        (e.path, blob_ids[key])
                        for e in plan.added
                        if (key := (e.oid, language_of(e.path))) in blob_ids
                    ],
                )
    embedded = embed_missing(db, view, embedder, progress) if embedder else 0
    return SyncReport(
        tree=tree,
        blobs_added=added_blobs,
        blobs_removed=removed_blobs,
        chunks_added=added_chunks,
        chunks_embedded=embedded,
        seconds=time.monotonic() - begun,
    )


def _store_blobs(
    repo: GitRepository, db: Database, keys: Sequence[store.BlobKey], progress: Progress
) -> tuple[dict[store.BlobKey, int], int, int]:
    """Chunk and store the blobs that are new; return ids by key and the numbers added."""
    known = store.known_blobs(db, keys)
    new = [key for key in keys if key not in known]
    chunks_added = 0
    for begin in range(0, len(new), BLOB_BATCH):
        progress("indexing files", begin, len(new))
        batch = new[begin : begin + BLOB_BATCH]
        sizes = repo.blob_sizes({oid for oid, _ in batch})
        small = [oid for oid in dict.fromkeys(o for o, _ in batch) if oid in sizes]
        small = [oid for oid in small if sizes[oid] <= MAX_FILE_BYTES]
        contents = dict(repo.blobs(small))
        with db.transaction() as connection:
            # Another process may have stored some of them since.
            done = store.known_blobs(db, batch)
            for key in batch:
                if key in done or key[0] not in sizes:
                    continue  # missing objects (partial clone) are tried again next time
                data = contents.get(key[0])
                skipped = "large" if data is None else skip_content(data)
                hidden: frozenset[int] = frozenset()
                chunks = []
                if not skipped and data is not None:
                    text = data.decode("utf-8", "replace")
                    hidden = secret_lines(text, language=key[1])
                    chunks = chunk_blob(data, key[1], hidden)
                lines = 0 if data is None else data.count(b"\n")
                done[key] = store.add_blob(connection, key, lines, chunks, skipped, len(hidden))
                chunks_added += len(chunks)
            known.update(done)
    progress("indexing files", len(new), len(new))
    return known, len(new), chunks_added


def embed_missing(
    db: Database, view: str, embedder: Embedder, progress: Progress = no_progress
) -> int:
    """Embed the chunks of ``view`` that have no vector of this embedder; return how many."""
    counts = store.view_counts(db, view, embedder.name)
    missing = counts["chunks"] - counts["vectors"]
    done = 0
    while batch := store.unembedded(db, embedder.name, view, EMBED_BATCH):
        progress("embedding", done, missing)
        vectors = embedder.encode([text for _, text in batch])
        with db.transaction() as connection:
            store.add_vectors(connection, embedder.name, [cid for cid, _ in batch], vectors)
        done += len(batch)
    if done:
        progress("embedding", done, done)
    return done
