"""Repositories that git-copilot knows, without the time that `init` takes."""

from __future__ import annotations

from pathlib import Path

from git_copilot.index.git.trust import make_known as adopt
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo


def make_known(repo: GitRepo, model: Path, **settings: str) -> GitRepo:
    """Initialise a repository with an empty database, a model and ``copilot.*`` settings."""
    for name, value in {"model": str(model), "latencyMs": "0", **settings}.items():
        repo.git("config", f"copilot.{name}", value)
    state = repo.git_dir / "copilot"
    adopt(state)
    Database(state / DATABASE_NAME, create=True).close()
    return repo
