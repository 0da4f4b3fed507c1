"""A worker killed at random moments through 100 commits loses nothing."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from git_copilot.hooks.install import install
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.lock import read_pid, worker_alive, worker_starting
from git_copilot.hooks.spool import Spool
from git_copilot.hooks.worker import MAX_DEATHS, queue_state
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo
from tests.support.index_assertions import assert_index_is_current

pytestmark = pytest.mark.e2e

SEED = 20261121
COMMITS = 100
KILLS = 45
LONGEST_S = 0.4  # by then an undisturbed worker is through with all that one commit asks for
# So often a worker may finish: a job that never could would rightly be set aside at last.
TURNS_OF_PEACE = MAX_DEATHS - 1


class Killer:
    """Ends the worker by SIGKILL, and counts where it struck."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.struck: dict[str, int] = {}

    def strike(self, delay: float) -> None:
        """Kill whatever works ``delay`` seconds from now."""
        time.sleep(delay)
        pid = worker_starting(self.state) or (worker_alive(self.state) and read_pid(self.state))
        if not pid:
            return
        running = queue_state(self.state).running
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            what = running.kind if running else "between jobs"
            self.struck[what] = self.struck.get(what, 0) + 1


def change(trees: list[GitRepo], turn: int, dice: random.Random) -> None:
    """One commit in one of the worktrees; the last ones work only in the first."""
    tree = trees[0] if turn > COMMITS * 3 // 4 else dice.choice(trees)
    files = {
        f"src/m{dice.randrange(12)}.py": f"def alpha_{turn}(value):\n    return {n} + value\n" * 20
        for n in range(dice.randrange(1, 6))
    }
    tree.commit(files, f"turn {turn}")
    if dice.random() < 0.1:
        tree.git("commit", "-q", "--amend", "-m", f"turn {turn} again")
    elif dice.random() < 0.1:
        tree.git("reset", "-q", "--hard", "HEAD~1")
        tree.commit({"src/other.py": f"value = {turn}\n"}, "other")


def finish(state: Path, seconds: float = 60) -> None:
    """Let workers run undisturbed until nothing waits."""
    deadline = time.monotonic() + seconds
    while Spool(state).pending() or worker_alive(state) or worker_starting(state):
        start_worker(state)
        assert time.monotonic() < deadline, (state / "log/worker.log").read_text()[-2000:]
        time.sleep(0.05)


def test_a_worker_killed_again_and_again_through_100_commits_loses_nothing(
    repo, tiny_embedder, tmp_path
):
    dice = random.Random(SEED)
    repo.commit({"src/m0.py": "def alpha(value):\n    return value\n"})
    found = GitRepository.discover(repo.path)
    install(found, sys.executable)
    trees = [repo]
    for name in ("left", "right"):
        repo.git("worktree", "add", "-q", "-b", name, str(tmp_path / name))
        trees.append(GitRepo(tmp_path / name))
    killer = Killer(found.state_dir)
    deadly = set(dice.sample(range(COMMITS), KILLS))
    for turn in range(COMMITS):
        change(trees, turn, dice)
        if turn in deadly:
            killer.strike(dice.uniform(0, LONGEST_S))
        if turn % TURNS_OF_PEACE == 0:
            finish(found.state_dir)
    assert sum(killer.struck.values()) > KILLS // 4, killer.struck
    finish(found.state_dir)

    spool = Spool(found.state_dir)
    assert (spool.pending(), spool.jobs(), spool.set_aside()) == (0, (), [])
    assert not list((found.state_dir / "spool").glob("claimed-*"))
    # Nobody has queried, so nothing but the worker can have brought the views level.
    with Database(found.state_dir / DATABASE_NAME) as db:
        shown = dict(db.query("SELECT name, tree FROM views"))
        mined = {oid for (oid,) in db.query("SELECT oid FROM commits")}
    for tree in trees:
        view = GitRepository.discover(tree.path)
        assert shown[view.view_name] == view.head_tree_or_empty()
    assert set(repo.git("rev-list", "HEAD").split()) <= mined
    assert_index_is_current(found)


WRITER = """
import contextlib, os, signal, sys
from pathlib import Path
from git_copilot.assistant import background
from git_copilot.index.store.database import Database

strike, whole, done = Path(sys.argv[1]) / "strike", Database.transaction, 0

@contextlib.contextmanager
def transaction(self):
    global done
    with whole(self) as connection:
        yield connection
        done += 1
        if strike.exists() and int(strike.read_text()) == done:
            strike.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

Database.transaction = transaction
sys.exit(background.main())
"""


def test_a_worker_killed_in_any_transaction_leaves_a_consistent_database(
    repo, tiny_embedder, tmp_path
):
    """It dies with everything written and nothing committed, one transaction later each time."""
    repo.commit({f"m{n}.py": f"def alpha_{n}(value):\n    return {n}\n" * 30 for n in range(40)})
    found = GitRepository.discover(repo.path)
    script, interpreter = tmp_path / "writer.py", tmp_path / "python"
    script.write_text(WRITER)
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{script}" "$4"\n')
    interpreter.chmod(0o755)
    install(found, str(interpreter))
    strike = found.state_dir / "strike"
    struck = 0
    while True:
        strike.write_text(str(struck + 1))
        # A new event each time, or three deaths would set the job aside.
        repo.commit({f"m{struck}.py": f"def beta_{struck}(value):\n    return value\n" * 30})
        deadline = time.monotonic() + 60
        while worker_alive(found.state_dir) or worker_starting(found.state_dir):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if strike.exists():
            break
        struck += 1
    assert struck > 3
    strike.unlink()
    finish(found.state_dir)
    assert Spool(found.state_dir).set_aside() == []
    assert_index_is_current(found)
