"""Every test runs against real git, sealed off from the machine's own configuration and home."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from git_copilot.assistant.core.process import calm_threads

pytest.register_assert_rewrite("tests.support")
import tests.support.commands  # noqa: F401 - remembers the real home before it is sealed off
from tests.support.gitrepo import GitRepo

pytest_plugins = ["tests.support.user_environment"]
calm_threads()  # before any test imports torch
# A shell starts what runs in the background with Ctrl-C ignored, and so would be what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items):
    """Mark whole folders as end-to-end tests."""
    for item in items:
        if any(item.path.is_relative_to(TESTS / name) for name in ("e2e", "hostile", "clients")):
            item.add_marker("e2e")


@pytest.fixture(autouse=True, scope="session")
def hermetic_session(tmp_path_factory):
    """The same as :func:`hermetic` for fixtures of a module or a session, which come before it."""
    with pytest.MonkeyPatch.context() as patch:
        seal_environment(patch, tmp_path_factory.mktemp("home"))
        yield


@pytest.fixture(autouse=True)
def hermetic(hermetic_session, tmp_path_factory, monkeypatch):
    """Gives each test a HOME, a git configuration, an identity and caches of its own."""
    home = tmp_path_factory.mktemp("home")
    seal_environment(monkeypatch, home)
    return home


def seal_environment(patch: pytest.MonkeyPatch, home: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("GIT_", "XDG_", "PRE_COMMIT")):
            patch.delenv(name)
    patch.setenv("HOME", str(home))
    patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    patch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    patch.setenv("XDG_DATA_HOME", str(home / ".local/share"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("GIT_AUTHOR_NAME", "Ada Author")
    patch.setenv("GIT_AUTHOR_EMAIL", "ada@example.org")
    patch.setenv("GIT_COMMITTER_NAME", "Ada Author")
    patch.setenv("GIT_COMMITTER_EMAIL", "ada@example.org")
    patch.setenv("GIT_EDITOR", "false")
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setenv("LC_ALL", "C.UTF-8")
    (home / ".gitconfig").write_text("[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n")


@pytest.fixture
def runtime(hermetic, monkeypatch):
    """A runtime folder outside of pytest's, whose names may be too long for a socket."""
    with tempfile.TemporaryDirectory("", "copilot-", "/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """An empty repository in a folder with a space and a non-ASCII letter in its name."""
    return GitRepo.init(tmp_path / "wörk tree")
