"""``index --rebuild``: a new database that takes the old one's place once it is complete."""

from __future__ import annotations

from git_copilot.assistant.context.catch_up import mine_commits, sync_index
from git_copilot.assistant.context.repository import Note, RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.hooks.launch import stop_worker
from git_copilot.hooks.lock import WorkerLock
from git_copilot.index.core.errors import (
    NO_ROOM,
    ROOM_HINT,
    CopilotError,
    DatabaseError,
    NoRoom,
    NotInitialised,
)
from git_copilot.index.core.types import Progress, SyncReport
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import migrate
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.database_files import beside, remove_database, replace_database


def rebuild(repo: GitRepository, settings: Settings, note: Note, progress: Progress) -> SyncReport:
    """Rebuild the database from git. If this fails or is killed, the old one stays. What was to be
    forgotten and the feedback of editors are migrated; events of hooks wait in the spool.

    :param note: told when these cannot be read.
    :raises NotInitialised: there is no state here.
    :raises NoRoom: the disk has no room for a second database.
    :raises CopilotError: the worker does not stop, or the old database cannot be read now.
    """
    state = repo.state_dir
    if not state.is_dir():
        raise NotInitialised("there is nothing to rebuild yet", "run `git copilot init`")
    stop_worker(state)
    lock = WorkerLock.acquire(state)
    if lock is None:
        raise CopilotError("rebuild aborted: the worker did not stop", "try again in a moment")
    try:
        # With the worker's lock: no worker writes into the database that is replaced, and
        # `forget`, which stops the worker, stops this too, or the new database would miss it.
        with lock:
            return _build(repo, settings, note, progress)
    except OSError as exc:
        if exc.errno in NO_ROOM:
            raise NoRoom(f"no room for a second {DATABASE_NAME} in {state}", ROOM_HINT) from exc
        raise


def _build(repo: GitRepository, settings: Settings, note: Note, progress: Progress) -> SyncReport:
    path = repo.state_dir / DATABASE_NAME
    old = migrate.read_old(path)
    if old is None:
        note(
            "what is forgotten cannot be read from the damaged database and is indexed again; "
            "repeat `git copilot forget` (feedback of editors is lost as well)"
        )
        old = migrate.Carried()
    remove_database(beside(path))  # left by a killed rebuild
    try:
        with Database(beside(path), create=True) as db:
            migrate.write_before_mining(db, old)
            context = RepositoryContext(repo, db, settings, progress=progress)
            mine_commits(context)
            migrate.write_after_mining(db, old)
            report = sync_index(context)
            if db.scalar("PRAGMA wal_checkpoint(TRUNCATE)"):
                raise DatabaseError(f"{db.path} is read by another process", "try again")
        replace_database(path)
    finally:
        remove_database(beside(path))
    return report
