"""What tests of the index share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gitrepo import GitRepo
from tracking import Field

from git_copilot.index.db import DATABASE_NAME, Database


@pytest.fixture
def field(repo: GitRepo, tmp_path: Path) -> Iterator[Field]:
    """Holes that are sown into a repository and followed through its history."""
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        yield Field(repo, db)
