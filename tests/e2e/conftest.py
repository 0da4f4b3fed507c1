"""The installed commands, run as processes, on a tiny real model and a tiny real embedder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from git_copilot.index.git.trust import trust_repository
from tests.support.commands import Copilot
from tests.support.gitrepo import GitRepo


@pytest.fixture
def project(environment, repo):
    """A repository with some history, not initialised."""
    repo.commit({"src/util.py": "def alpha(value):\n    return value + 1\n", "README.md": "# hi\n"})
    repo.commit(
        {"src/app.py": "from util import alpha\n\n\ndef beta(name):\n    return alpha(name)\n"}
    )
    return repo


@pytest.fixture(scope="session")
def initialised_states(tmp_path_factory) -> Path:
    """What `init` made of each project, by the id of its HEAD, to be copied."""
    return tmp_path_factory.mktemp("initialised")


def initialise(project: GitRepo, commands: Copilot, states: Path) -> None:
    """Run `git copilot init`, or copy what it made of an equal project: most tests are about
    something else, and it takes longer than many of them."""
    state = states / project.git("rev-parse", "HEAD")
    if not state.exists():
        commands.ok("init")
        for name in ("copilot", "hooks"):
            shutil.copytree(project.git_dir / name, state / name, symlinks=True)
        return
    for name in ("copilot", "hooks"):
        shutil.copytree(state / name, project.git_dir / name, symlinks=True, dirs_exist_ok=True)
    trust_repository(project.git_dir / "copilot", adopt=True)


@pytest.fixture
def copilot(project, runtime, initialised_states):
    """Commands in an initialised project; no server is left behind."""
    commands = Copilot(project.path)
    initialise(project, commands, initialised_states)
    yield commands
    if any(runtime.iterdir()):  # the socket's folder, once there was a server
        commands.run("serve", "--stop")


@pytest.fixture
def bare_commands(environment, tmp_path):
    """Commands outside any repository."""
    return Copilot(tmp_path)
