"""Updates the index to a tree: plan (pure), then apply in small transactions.

A known blob costs nothing, whichever path, branch or worktree it comes back under. If the process
is killed between transactions, the next run finds the stored blobs, and the view still shows the
old tree.
"""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from dataclasses import dataclass

from git_copilot.index.core.types import (
    Chunk,
    Embedder,
    Progress,
    SyncReport,
    no_progress,
)
from git_copilot.index.filters import rules
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.secrets.scan import hidden_lines
from git_copilot.index.store import views
from git_copilot.index.store.contents import MISSING, BlobKey, embedding_text, index_words
from git_copilot.index.store.database import Database
from git_copilot.index.sync.plan import FOLDER_KEY, blob_key, plan_sync
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.classify import (
    MAX_FILE_BYTES,
    skip_content,
    to_utf8,
)

# Blobs per transaction: a kill loses at most this much work.
BLOB_BATCH = 200
# Blobs whose chunks are embedded together: a few thousand chunks.
EMBED_BLOBS = 200


def sync(
    repo: GitRepository,
    db: Database,
    embedder: Embedder | None,
    *,
    view: str | None = None,
    tree: str | None = None,
    progress: Progress = no_progress,
) -> SyncReport:
    """Update ``view`` (default: this worktree's) to ``tree`` (default: HEAD's).

    Without an ``embedder`` the chunks can be found by name and text; their vectors are left to the
    next sync with an embedder.

    :raises GitError: git cannot read the tree.
    """
    begun = time.monotonic()
    view = repo.view_name if view is None else view
    tree = tree or repo.head_tree_or_empty()
    made_with = rules.fingerprint(repo)
    added_blobs, added_chunks = _add_arrived_blobs(repo, db, view, progress)
    removed_blobs = 0
    while views.view_state(db, view) != (tree, made_with):
        identity = db.identity
        plan = plan_sync(repo, db, view, tree, fingerprint=made_with)
        blob_ids, blobs, chunks = store_blobs(repo, db, plan.keys, progress)
        added_blobs += blobs
        added_chunks += chunks
        shown = [(e.path, blob_ids[blob_key(e)]) for e in plan.added]
        with db.transaction() as connection:
            # Meanwhile another process may have moved the view or collected a blob, or the user
            # may have forgotten something, which changes the identity: then plan again.
            if (views.view_tree(db, view), db.identity) == (
                plan.base,
                identity,
            ) and views.all_blobs_exist(connection, (blob_id for _, blob_id in shown)):
                removed_blobs = views.set_view(
                    connection, view, tree, made_with, plan.removed, shown
                )
    views.touch_view(db, view)
    embedded = embed_missing(db, view, embedder, progress) if embedder else 0
    return SyncReport(
        tree=tree,
        blobs_added=added_blobs,
        blobs_removed=removed_blobs,
        chunks_added=added_chunks,
        chunks_embedded=embedded,
        seconds=time.monotonic() - begun,
    )


def _add_arrived_blobs(
    repo: GitRepository, db: Database, view: str, progress: Progress
) -> tuple[int, int]:
    """Add missing blobs that have arrived; return the numbers of added blobs and chunks."""
    keys = views.missing_blobs(db, view)
    here = repo.blob_sizes({oid for oid, _ in keys}).keys()
    come = [key for key in keys if key[0] in here]
    files = views.view_files(db, view) if come else {}
    rule_files = {key for path, key in files.items() if rules.is_rule_file(path)}
    if any(key in rule_files or key[1] == FOLDER_KEY for key in come):
        with db.transaction() as connection:  # they may affect other files: plan the whole tree
            connection.execute("UPDATE views SET tree = '' WHERE name = ?", (view,))
    _, blobs, chunks = store_blobs(repo, db, [k for k in come if k[1] != FOLDER_KEY], progress)
    return blobs, chunks


@dataclass(frozen=True, slots=True)
class ParsedBlob:
    """The indexed content of one blob."""

    lines: int
    skipped: str | None
    secrets: int
    allowed: int
    chunks: list[Chunk]


def parse_blob(
    data: bytes | None, language: str, size: int | None, allowed: Container[str] = ()
) -> ParsedBlob:
    """Cut a blob into chunks. Pure.

    :param data: its content; ``None`` if it was not read because of its ``size``.
    :param size: in bytes; ``None`` if it is missing.
    :param allowed: fingerprints of allowed lines (:mod:`.allowed_lines`).
    """
    if data is None:
        return ParsedBlob(0, MISSING if size is None else "large", 0, 0, [])
    content = to_utf8(data)
    skipped = skip_content(content)
    if skipped:
        return ParsedBlob(data.count(b"\n"), skipped, 0, 0, [])
    hidden = hidden_lines(content, language, allowed)
    chunks = chunk_blob(content, language, hidden.all)
    return ParsedBlob(content.count(b"\n"), None, hidden.secrets, hidden.allowed, chunks)


def store_blobs(
    repo: GitRepository, db: Database, keys: Sequence[BlobKey], progress: Progress = no_progress
) -> tuple[dict[BlobKey, int], int, int]:
    """Chunk and store the blobs that are new or were missing; return all ids by key, and the
    numbers of added blobs and chunks."""
    known = views.known_blobs(db, keys)
    new = [key for key in keys if key not in known]
    allowed = frozenset(str(row[0]) for row in db.query("SELECT fingerprint FROM allowed"))
    blobs_added = chunks_added = 0
    for begin in range(0, len(new), BLOB_BATCH):
        progress("indexing files", begin, len(new))
        batch = new[begin : begin + BLOB_BATCH]
        readings = _read(repo, batch, allowed)
        with db.transaction() as connection:
            # Another process may have stored some of them meanwhile.
            done = views.known_blobs(db, batch)
            for key in batch:
                if key in done:
                    continue
                read = readings[key]
                done[key] = views.add_blob(
                    connection,
                    key,
                    read.lines,
                    read.chunks,
                    read.skipped,
                    read.secrets,
                    read.allowed,
                )
                blobs_added += read.skipped != MISSING
                chunks_added += len(read.chunks)
            index_words(connection, done.values())
            known.update(done)
    if new:
        progress("indexing files", len(new), len(new))
    return known, blobs_added, chunks_added


def _read(
    repo: GitRepository, keys: Sequence[BlobKey], allowed: Container[str]
) -> dict[BlobKey, ParsedBlob]:
    """Read blobs and cut them into chunks."""
    sizes = repo.blob_sizes(dict.fromkeys(oid for oid, kind in keys if kind != FOLDER_KEY))
    contents = dict(repo.blobs(oid for oid, size in sizes.items() if size <= MAX_FILE_BYTES))
    return {
        key: parse_blob(contents.get(key[0]), key[1], sizes.get(key[0]), allowed) for key in keys
    }


def embed_missing(
    db: Database, view: str, embedder: Embedder, progress: Progress = no_progress
) -> int:
    """Embed the chunks of ``view`` that have no vector of this embedder; return the number of
    embedded texts."""
    blobs = views.unembedded_blobs(db, embedder.name, view)
    done = 0
    for begin in range(0, len(blobs), EMBED_BLOBS):
        progress("embedding", begin, len(blobs))
        batch = blobs[begin : begin + EMBED_BLOBS]
        chunks = views.unembedded_chunks(db, embedder.name, batch)
        # A function occurs in many versions of its file: copy its vector if it has one.
        known = [(c.chunk_id, c.equal_vector) for c in chunks if c.equal_vector is not None]
        new = [c for c in chunks if c.equal_vector is None]
        place = {text: i for i, text in enumerate(dict.fromkeys((c.scope, c.text) for c in new))}
        vectors = embedder.encode([embedding_text(scope, text) for scope, text in place])
        rows = [place[c.scope, c.text] for c in new]
        with db.transaction() as connection:
            views.add_encoded_vectors(connection, embedder.name, known)
            views.add_vectors(connection, embedder.name, [c.chunk_id for c in new], vectors[rows])
            views.mark_embedded(connection, embedder.name, batch)
        done += len(place)
    if blobs:
        progress("embedding", len(blobs), len(blobs))
    return done
