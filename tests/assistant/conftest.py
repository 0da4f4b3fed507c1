"""Fixtures for tests of the assistant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.corpus.mining import mine
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo
from tests.support.histories import function
from tests.support.running_server import Running, ScriptedService
from tests.support.tiny_models import save_tiny


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny fill-in-the-middle model, read-only; some modules override it."""
    return save_tiny(tmp_path_factory.mktemp("tiny"), fim=True)


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of the model in ``folder``."""
    return TextTokenizer.load(folder)


@pytest.fixture
def opened_repo(repo: GitRepo) -> Iterator[tuple[GitRepo, GitRepository, Database]]:
    """A repository, the same as a :class:`GitRepository`, and its empty database."""
    found = GitRepository.discover(repo.path)
    trust_repository(found.state_dir)
    with Database(found.state_dir / DATABASE_NAME, create=True) as db:
        yield repo, found, db


@pytest.fixture
def session() -> Iterator[Session]:
    """A session, closed at the end of the test."""
    opened_repo = Session()
    yield opened_repo
    opened_repo.close()


@pytest.fixture
def start_server(runtime):
    """Starts servers, with a function that does their work or the real service; they stop with
    the test."""
    started = []

    def start(run=None):
        started.append(Running(ScriptedService(run) if run else None))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def mined_repo(opened_repo):
    """``opened_repo`` with a mined corpus: three files, and one with BOM, CRLF and an umlaut."""
    repo, found, db = opened_repo
    for name in ("alpha", "beta", "gamma"):
        repo.commit({f"src/{name}.py": function(name), f"docs/{name}.md": "# hi\n"})
    repo.commit({"src/é.py": "\ufeff# ü\r\n" + "value = combine(first, 'ä', third)\r\n" * 3})
    mine(found, db)
    return repo, found, db
