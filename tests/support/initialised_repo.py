"""Repositories that git-copilot knows, without the time that `init` takes."""

from __future__ import annotations

from pathlib import Path

from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo


def initialise_repository(repo: GitRepo, model: Path, **settings: str) -> GitRepo:
    """Give a repository an empty database, a model, and ``copilot.*`` settings."""
    for name, value in {"model": str(model), "latencyMs": "0", **settings}.items():
        repo.git("config", f"copilot.{name}", value)
    state = repo.git_dir / "copilot"
    trust_repository(state)
    Database(state / DATABASE_NAME, create=True).close()
    return repo
