"""A worktree whose index is level with HEAD, open to be asked for uncommitted changes."""

from __future__ import annotations

from contextlib import contextmanager

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.worktree import Worktree
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync


@contextmanager
def opened_worktree(repo, folder, kind=Worktree):
    """:param folder: for the database.
    :param kind: the class that is opened."""
    found = GitRepository.discover(repo.path)
    with Database(folder / DATABASE_NAME, create=True) as db:
        sync(found, db, None)
        opened = kind(found, db)
        try:
            yield opened
        finally:
            opened.close()
