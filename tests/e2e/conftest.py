"""The installed commands, run as processes, on a tiny real model and a tiny real embedder."""

from __future__ import annotations

import pytest

from tests.support.commands import Copilot


@pytest.fixture
def project(environment, repo):
    """A repository with some history, not yet known to git-copilot."""
    repo.commit({"src/util.py": "def alpha(value):\n    return value + 1\n", "README.md": "# hi\n"})
    repo.commit(
        {"src/app.py": "from util import alpha\n\n\ndef beta(name):\n    return alpha(name)\n"}
    )
    return repo


@pytest.fixture
def copilot(project):
    """Commands in an initialised project; no server is left behind."""
    commands = Copilot(project.path)
    commands.ok("init")
    yield commands
    commands.run("serve", "--stop")


@pytest.fixture
def bare_commands(environment, tmp_path):
    """Commands outside of any prepared repository."""
    return Copilot(tmp_path)
