"""Brings index and corpus level with HEAD."""

from __future__ import annotations

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.models.embedder import ready_embedder
from git_copilot.index.core.types import Embedder, SyncReport


def sync_index(context: RepositoryContext) -> SyncReport:
    """Bring the index of this worktree level with HEAD, vectors last. The embedder is loaded when
    it is needed, unless the context has one.

    :raises GitError: git cannot read the tree.
    """
    from git_copilot.index.sync.stages import sync_in_stages

    def load() -> Embedder | None:
        return context.embedder or ready_embedder(context.settings)

    return sync_in_stages(context.repo, context.db, load, progress=context.progress)


def mine_commits(context: RepositoryContext) -> int:
    """Mine the commits that are new, or that lacked objects which are here now; return how many
    those were."""
    from git_copilot.index.corpus.mining import mine

    limit = context.settings.history_commits
    return mine(context.repo, context.db, limit=limit, progress=context.progress)
