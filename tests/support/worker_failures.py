"""Helpers of failure tests: break the worker, commit all the same, check the recovery."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from git_copilot.hooks.install import install
from git_copilot.hooks.lock import worker_alive, worker_starting
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from tests.support.gitrepo import GitRepo
from tests.support.index_assertions import assert_index_is_current


def wait_for_worker(state: Path, seconds: float = 60) -> None:
    """Wait until no worker runs, including one that looked at the spool again while exiting."""
    deadline = time.monotonic() + seconds
    idle = 0
    while idle < 3:
        idle = 0 if worker_alive(state) or worker_starting(state) else idle + 1
        assert time.monotonic() < deadline
        time.sleep(0.02)


def use_interpreter(repo: GitRepo, line: str) -> None:
    """Record a shell script of one line as the interpreter of the worker."""
    state = GitRepository.discover(repo.path).state_dir
    script = repo.path.parent / "strange python"
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)
    (state / "python").write_text(f"{script}\n")


def commit_and_switch(git_silently, repo: GitRepo, word: str = "fresh") -> None:
    """A commit and a switch, each silent and successful."""
    repo.write({f"src/{word}.py": f"def {word}(value):\n    return alpha(value)\n"})
    git_silently(repo, "add", "-A")
    git_silently(repo, "commit", "-q", "-m", "x")
    git_silently(repo, "switch", "-q", "-c", f"{word}-branch")


def assert_recovers(repo: GitRepo) -> None:
    """The next event makes the index current and leaves nothing to report. On a busy machine a
    broken worker may still be about to fail: then the event after that one does."""
    found = GitRepository.discover(repo.path)
    install(found, sys.executable)
    spool = Spool(found.state_dir)
    for _ in range(3):
        repo.git("commit", "-q", "--allow-empty", "-m", "mended")
        wait_for_worker(found.state_dir)
        if not spool.pending():
            break
    assert (spool.pending(), spool.set_aside()) == (0, [])
    assert_index_is_current(found)
