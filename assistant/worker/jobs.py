"""The worker's jobs. Each opens the repository once and can be killed and repeated."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path

from git_copilot.assistant.context.catch_up import mine_commits, sync_index
from git_copilot.assistant.context.repository import (
    RepositoryContext,
    open_context,
    open_repository,
)
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.models.catalogue import is_ready
from git_copilot.assistant.worker.options import TrainingOptions
from git_copilot.assistant.worker.training import start_training
from git_copilot.index.core.errors import GitError
from git_copilot.index.core.types import SyncReport
from git_copilot.index.store.garbage_collection import collect, is_due


def _opened(git_dir: Path, *, create: bool = True) -> AbstractContextManager[RepositoryContext]:
    """A job's repository; its database is created where hooks were installed without ``init``."""
    repo = open_repository(git_dir)
    return open_context(repo, load_settings(repo), create=create)


def sync_job(git_dir: Path) -> SyncReport:
    """Handle a ``sync`` job; once a day also remove what no view shows any more."""
    with _opened(git_dir) as context:
        report = sync_index(context)
        if is_due(context.db):
            collect(context.repo, context.db, embedder=context.settings.embedder)
        save_snapshot(context)
    return report


def save_snapshot(context: RepositoryContext) -> None:
    """Rewrite the vectors' snapshot when that is worth it, so that no query has to wait for it."""
    from git_copilot.index.embedding.vectors import is_worth_saving

    db, folder, embedder = context.db, context.state_dir, context.settings.embedder
    if is_worth_saving(db, folder, embedder):
        vectors = context.with_vectors().vectors
        if vectors is not None and is_worth_saving(db, folder, embedder):
            with suppress(OSError):  # a cache, on a full disk perhaps
                vectors.save(folder, db)


def mine_job(git_dir: Path) -> int:
    """Handle a ``mine`` job: return how many commits were new."""
    with _opened(git_dir) as context:
        mined = mine_commits(context)
        update_retained(context)
    return mined


def update_retained(context: RepositoryContext) -> None:
    """See which accepted characters were still there 30 days after their commit, where that is not
    known yet."""
    from git_copilot.index.corpus import retention
    from git_copilot.index.corpus.survival import update_survival

    if retention.is_due(context.db):
        with suppress(GitError):  # objects are missing; the next commit is another chance
            update_survival(context.repo, context.db, limit=context.settings.history_commits)
            retention.update_kept(context.db)


def refresh_job(git_dir: Path) -> str:
    """Handle a ``refresh`` job: if there are enough new mainline commits, start training in a
    process of its own, so that the next commits are indexed meanwhile."""
    from git_copilot.assistant.refresh.schedule import refresh_due

    with _opened(git_dir) as context:
        reason = refresh_due(context)
    if reason is None:
        return "not due"
    model = context.settings.model
    if not is_ready(model):
        return f"{reason}, but the model {model} is not downloaded"
    start_training(git_dir, context.state_dir, TrainingOptions())
    return f"started: {reason}"
