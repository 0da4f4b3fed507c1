"""Finds a repository and opens its state, once for a command or a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.models.embedder import ready_embedder
from git_copilot.index.core.types import Embedder, Progress, no_progress
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import require_known
from git_copilot.index.store.database import DATABASE_NAME, Database

if TYPE_CHECKING:
    from git_copilot.index.embedding.vectors import VectorIndex

Note = Callable[[str], None]


def no_note(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class RepositoryContext:
    """A repository with everything that work on it needs.

    ``embedder`` and ``vectors`` are ``None`` until :meth:`with_embedder` and :meth:`with_vectors`,
    and after them if the embedder is not on this machine. ``note`` gets remarks for a person, each
    of one line.
    """

    repo: GitRepository
    db: Database
    settings: Settings
    embedder: Embedder | None = None
    vectors: VectorIndex | None = None
    progress: Progress = no_progress
    note: Note = no_note

    @property
    def state_dir(self) -> Path:
        """The repository's state folder."""
        return self.repo.state_dir

    def with_embedder(self) -> Self:
        """The same with the embedder of the settings, which takes time to load."""
        return replace(self, embedder=ready_embedder(self.settings))

    def with_vectors(self) -> Self:
        """The same with the embedder and the vectors that the database has now."""
        from git_copilot.index.embedding.vectors import load_vectors

        embedder = self.embedder or ready_embedder(self.settings)
        vectors = load_vectors(self.db, self.state_dir, embedder)
        return replace(self, embedder=embedder, vectors=vectors)


@contextmanager
def open_context(
    repo: GitRepository,
    settings: Settings,
    *,
    create: bool = False,
    progress: Progress = no_progress,
    note: Note = no_note,
) -> Iterator[RepositoryContext]:
    """A repository with its database open, without an embedder.

    :param create: make the database where there is none, as the worker does where hooks were
        installed without ``init``.
    :raises DatabaseError: it is damaged or cannot be written.
    """
    with Database(repo.state_dir / DATABASE_NAME, create=create) as db:
        yield RepositoryContext(repo, db, settings, progress=progress, note=note)


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
