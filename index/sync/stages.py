"""Syncs a worktree in two stages: names and words, which need no embedder, then vectors."""

from __future__ import annotations

from collections.abc import Callable

from git_copilot.index.core.types import Embedder, Progress, SyncReport, no_progress
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import views
from git_copilot.index.store.database import Database
from git_copilot.index.store.garbage_collection import WORKTREES
from git_copilot.index.sync.sync import sync


def sync_in_stages(
    repo: GitRepository,
    db: Database,
    load_embedder: Callable[[], Embedder | None],
    *,
    progress: Progress = no_progress,
) -> SyncReport:
    """Bring the index of this worktree level with HEAD's tree, and drop the views of worktrees
    that are gone.

    :param load_embedder: called after the first stage, when everything can be found by its name
        and its words; without an embedder there is no second one.
    :raises GitError: git cannot read the tree.
    """
    # The grace period of blobs that only such a worktree showed begins now.
    for view in {*views.view_names(db, WORKTREES)} - repo.linked_views():
        views.drop_view(db, view)
    words = sync(repo, db, None, progress=progress)
    embedder = load_embedder()
    if embedder is None:
        return words
    vectors = sync(repo, db, embedder, progress=progress)
    return SyncReport(
        tree=vectors.tree,
        blobs_added=words.blobs_added + vectors.blobs_added,
        blobs_removed=words.blobs_removed + vectors.blobs_removed,
        chunks_added=words.chunks_added + vectors.chunks_added,
        chunks_embedded=vectors.chunks_embedded,
        seconds=words.seconds + vectors.seconds,
    )
