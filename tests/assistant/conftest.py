"""What tests of the user's side share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gitrepo import GitRepo

from git_copilot.assistant.session import Session
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.git import GitRepository


@pytest.fixture
def opened(repo: GitRepo) -> Iterator[tuple[GitRepo, GitRepository, Database]]:
    """A repository, how the index sees it, and its empty database."""
    found = GitRepository.discover(repo.path)
    found.state_dir.mkdir()
    with Database(found.state_dir / DATABASE_NAME, create=True) as db:
        yield repo, found, db


@pytest.fixture
def session() -> Iterator[Session]:
    """What a process keeps between requests."""
    opened = Session()
    yield opened
    opened.close()
