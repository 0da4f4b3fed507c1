"""What the worker does: each job opens what it needs, and everything is resumable."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.models.catalogue import is_ready
from git_copilot.assistant.models.embedder import ready_embedder
from git_copilot.index.core.types import Progress, SyncReport, no_progress
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import require_known
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.garbage_collection import WORKTREES, collect, due


def open_repository(git_dir: Path) -> GitRepository:
    """The worktree whose git folder this is."""
    common = git_dir
    linked = git_dir / "commondir"
    if linked.exists():
        common = (git_dir / linked.read_text("utf-8").strip()).resolve()
    return GitRepository(git_dir, common, None)


def known_repository(folder: Path | None = None) -> GitRepository:
    """The repository of ``folder``, or of this process's folder and environment; its database may
    be damaged.

    :raises NotInitialised: the user has not made it known.
    """
    repo = GitRepository.discover(folder)
    require_known(repo.state_dir)
    return repo


def initialised_repository(folder: Path | None = None) -> GitRepository:
    """The repository of ``folder``, or of this process's folder and environment.

    :raises NotInitialised: ``init`` was never run there.
    """
    repo = known_repository(folder)
    Database(repo.state_dir / DATABASE_NAME).close()
    return repo


def open_database(repo: GitRepository) -> Database:
    """The database for the worker, which makes it where hooks were installed without ``init``.

    :raises DatabaseError: it is damaged or cannot be written.
    """
    return Database(repo.state_dir / DATABASE_NAME, create=True)


def sync_repository(
    repo: GitRepository, settings: Settings, progress: Progress = no_progress
) -> SyncReport:
    """Bring the index of this worktree level with HEAD, vectors last."""
    with open_database(repo) as db:
        return sync_database(repo, db, settings, progress)


def sync_database(
    repo: GitRepository, db: Database, settings: Settings, progress: Progress = no_progress
) -> SyncReport:
    """The same in a database that is open."""
    from git_copilot.index.sync.sync import sync

    # The grace period of what only a worktree that is gone showed begins now.
    for view in {*views.view_names(db, WORKTREES)} - repo.linked_views():
        views.drop_view(db, view)
    # Names and words first: they need no embedder, and are findable at once.
    first = sync(repo, db, None, progress=progress)
    embedder = ready_embedder(settings)
    if embedder is None:
        return first
    second = sync(repo, db, embedder, progress=progress)
    return SyncReport(
        tree=second.tree,
        blobs_added=first.blobs_added + second.blobs_added,
        blobs_removed=first.blobs_removed + second.blobs_removed,
        chunks_added=first.chunks_added + second.chunks_added,
        chunks_embedded=second.chunks_embedded,
        seconds=first.seconds + second.seconds,
    )


def sync_job(git_dir: Path) -> SyncReport:
    """Handle a ``sync`` job; once a day remove what nothing shows any more."""
    repo = open_repository(git_dir)
    settings = load_settings(repo)
    report = sync_repository(repo, settings)
    with open_database(repo) as db:
        if due(db):
            collect(repo, db, embedder=settings.embedder)
        save_snapshot(repo, db, settings)
    return report


def save_snapshot(repo: GitRepository, db: Database, settings: Settings) -> None:
    """Write the vectors' snapshot anew when that is worth it: who queries need not wait for it."""
    from git_copilot.index.embedding.vectors import load_vectors, worth_saving

    if worth_saving(db, repo.state_dir, settings.embedder):
        vectors = load_vectors(db, repo.state_dir, ready_embedder(settings))
        if vectors is not None and worth_saving(db, repo.state_dir, settings.embedder):
            with suppress(OSError):  # a cache, on a full disk perhaps
                vectors.save(repo.state_dir, db)


def mine_job(git_dir: Path) -> int:
    """Handle a ``mine`` job: return how many commits were new."""
    repo = open_repository(git_dir)
    return mine_repository(repo, load_settings(repo))


def mine_repository(
    repo: GitRepository, settings: Settings, progress: Progress = no_progress
) -> int:
    """Look at the commits that were not looked at, or lacked something that has come; return how
    many those were."""
    from git_copilot.index.corpus.mining import mine

    with open_database(repo) as db:
        return mine(repo, db, limit=settings.history_commits, progress=progress)


def refresh_job(git_dir: Path) -> str:
    """Handle a ``refresh`` job: if enough new mainline commits have come, start training in a
    process of its own, so that the next commits are indexed meanwhile."""
    from git_copilot.assistant.refresh.schedule import refresh_due

    repo = open_repository(git_dir)
    settings = load_settings(repo)
    with open_database(repo) as db:
        reason = refresh_due(repo, db, settings)
    if reason is None:
        return "not due"
    if not is_ready(settings.model):
        return f"{reason}, but the model {settings.model} is not here"
    subprocess.Popen(
        [sys.executable, "-P", "-m", "git_copilot.assistant.background", "--refresh", git_dir],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=repo.state_dir,
    )
    return f"started: {reason}"


def train(git_dir: Path) -> str:
    """Run a refresh that started by itself; return why the candidate was promoted or not.

    :raises CopilotError: another refresh runs, or there is too little to learn from.
    """
    from git_copilot.assistant.refresh.pipeline import run_refresh
    from git_copilot.index.embedding.vectors import load_vectors

    repo = open_repository(git_dir)
    settings = load_settings(repo)
    with Database(repo.state_dir / DATABASE_NAME) as db:
        embedder = ready_embedder(settings)
        vectors = load_vectors(db, repo.state_dir, embedder)
        evidence = run_refresh(
            repo,
            db,
            settings,
            embedder=embedder,
            vectors=vectors,
            seconds=settings.refresh_minutes * 60,
        )
    return str(evidence["reason"])
