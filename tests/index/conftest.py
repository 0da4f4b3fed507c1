"""What tests of the index share."""

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
    """Holes that are sown into a repository and followed through its history."""
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        yield HoleTracker(repo, db)


@pytest.fixture
def opened_repo(repo, tmp_path):
    """A repository that begins just before ``NOW``, as the index sees it, and an empty database."""
    repo._clock = NOW - 61  # the first commit is older than what is shown now, others are not
    db = Database(tmp_path / DATABASE_NAME, create=True)
    yield GitRepository.discover(repo.path), db
    db.close()
