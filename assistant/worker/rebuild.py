"""``index --rebuild``: a new database that takes the old one's place once it is complete."""

from __future__ import annotations

from collections.abc import Callable

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.worker.jobs import sync_database
from git_copilot.hooks.launch import stop_worker
from git_copilot.hooks.lock import WorkerLock
from git_copilot.index.core.errors import (
    DISK_FULL_ERRNOS,
    DISK_FULL_HINT,
    CopilotError,
    DatabaseError,
    DiskFull,
    NotInitialised,
)
from git_copilot.index.core.types import Progress, SyncReport
from git_copilot.index.corpus.mining import mine
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import migrate
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.database_files import (
    remove_database,
    replace_database,
    replacement_path,
)


def rebuild(
    repo: GitRepository, settings: Settings, note: Callable[[str], None], progress: Progress
) -> SyncReport:
    """Make the database anew from git. Whatever goes wrong, and whenever this is killed, the old
    one stays; what it says is forgotten and what editors reported is handed on. Events of hooks
    wait in the spool meanwhile.

    :param note: is told when that cannot be read.
    :raises NotInitialised: there is no state here.
    :raises DiskFull: there is none for a second database.
    :raises CopilotError: the worker does not end, or the old database cannot be read now.
    """
    state = repo.state_dir
    if not state.is_dir():
        raise NotInitialised("there is nothing to rebuild yet", "run `git copilot init`")
    stop_worker(state)
    lock = WorkerLock.acquire(state)
    if lock is None:
        raise CopilotError(
            "the worker does not end, so the index is not made anew", "try again in a moment"
        )
    try:
        # As the worker: none writes into the database that goes, and `forget`, which stops the
        # worker, stops this too, or the new database would not know of it.
        with lock:
            return _make_anew(repo, settings, note, progress)
    except OSError as exc:
        if exc.errno in DISK_FULL_ERRNOS:
            raise DiskFull(
                f"no room for a second {DATABASE_NAME} in {state}", DISK_FULL_HINT
            ) from exc
        raise


def _make_anew(
    repo: GitRepository, settings: Settings, note: Callable[[str], None], progress: Progress
) -> SyncReport:
    path = repo.state_dir / DATABASE_NAME
    old = migrate.read_preserved(path)
    if old is None:
        note(
            "what was forgotten cannot be read from the damaged database and is taken in "
            "again; `git copilot forget` it anew (feedback of editors is lost as well)"
        )
        old = migrate.PreservedData()
    remove_database(replacement_path(path))  # of one that was killed
    try:
        with Database(replacement_path(path), create=True) as db:
            migrate.write_before_mining(db, old)
            mine(repo, db, limit=settings.history_commits, progress=progress)
            migrate.write_after_mining(db, old)
            report = sync_database(repo, db, settings, progress)
            if db.scalar("PRAGMA wal_checkpoint(TRUNCATE)"):
                raise DatabaseError(f"{db.path} is read by another process", "try again")
        replace_database(path)
    finally:
        remove_database(replacement_path(path))
    return report
