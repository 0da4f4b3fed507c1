"""Fixtures for tests of the index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo
from tests.support.hole_tracking import HoleTracker
from tests.support.shown_completions import NOW


@pytest.fixture
def hole_tracker(repo: GitRepo, tmp_path: Path) -> Iterator[HoleTracker]:
    """Places holes in a repository and follows them through its history."""
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        yield HoleTracker(repo, db)


@pytest.fixture
def opened_repo(repo, tmp_path):
    """A repository whose history begins just before ``NOW``, and an empty database."""
    repo._clock = NOW - 61  # the first commit is older than what is shown now, others are not
    db = Database(tmp_path / DATABASE_NAME, create=True)
    yield GitRepository.discover(repo.path), db
    db.close()
