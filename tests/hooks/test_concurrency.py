"""Concurrent worktrees, commits, queries and commands share one worker."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from git_copilot.hooks.events import Event
from git_copilot.hooks.install import install
from git_copilot.hooks.launch import WORKER_MODULE, start_worker
from git_copilot.hooks.lock import worker_alive, worker_starting
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo
from tests.support.index_assertions import assert_index_is_current

pytestmark = pytest.mark.e2e

TREES, COMMITS = 10, 6
# The real worker with its real handlers, which also says when it began and ended what.
WATCHED = """
import json, logging, os, sys, time
from pathlib import Path
from git_copilot.assistant.background import handlers
from git_copilot.hooks.worker import run_worker

state = Path(sys.argv[1])
log = logging.getLogger()
logging.basicConfig(filename=state / "worker.log")

def watch(handler):
    def run(job):
        begun = time.monotonic()
        try:
            handler(job)
        finally:
            with (state / "turns.jsonl").open("a") as out:
                out.write(json.dumps([os.getpid(), begun, time.monotonic()]) + "\\n")
    return run

run_worker(state, {kind: watch(handler) for kind, handler in handlers(log).items()}, log=log)
"""


@pytest.fixture
def interpreter(tmp_path):
    """Counts its starts, takes a while to get going, and runs the watched worker."""
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    shell = tmp_path / "counting python"
    shell.write_text(
        f'#!/bin/sh\n[ "$1 $2 $3" = "-P -m {WORKER_MODULE}" ] || exit 9\necho >>"$4/starts"\n'
        f'sleep 0.3\nexec "{sys.executable}" -P "{script}" "$4"\n'
    )
    shell.chmod(0o755)
    return str(shell)


def settle(state: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while Spool(state).pending() or worker_alive(state) or worker_starting(state):
        assert time.monotonic() < deadline, (state / "worker.log").read_text()
        time.sleep(0.05)


def count(state: Path, name: str) -> int:
    path = state / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_ten_worktrees_can_commit_at_once(repo, tiny_embedder, interpreter, tmp_path):
    repo.commit({"src/util.py": "def alpha(value):\n    return value\n"})
    found = GitRepository.discover(repo.path)
    state = found.state_dir
    trees = [repo]
    for number in range(1, TREES):
        tree = GitRepo(tmp_path / f"trée {number}")
        repo.git("worktree", "add", "-q", "-b", f"b{number}", str(tree.path))
        trees.append(tree)
    install(found, interpreter)
    script = (
        f"for i in $(seq {COMMITS}); do"
        ' printf "def alpha_%s(value):\\n    return $1\\n" $i >"n$1_$i.py" && git add . &&'
        ' git commit -q -m "$i" || exit 1; done'
    )
    running = [
        subprocess.Popen(
            ["sh", "-c", script, "sh", str(number)],
            cwd=tree.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number, tree in enumerate(trees)
    ]  # fmt: skip
    # People ask meanwhile: readers wait for nobody, and a second writer is none either.
    command = [sys.executable, "-m", "git_copilot.assistant.entry"]
    for words in (["status", "--wait"], ["search", "alpha"], ["index"]):
        while not (state / DATABASE_NAME).exists():
            time.sleep(0.02)
        done = subprocess.run([*command, *words], cwd=repo.path, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), words
    ended = [(process.communicate(timeout=60), process.returncode) for process in running]
    assert ended == [((b"", b""), 0)] * TREES
    settle(state)

    assert (Spool(state).set_aside(), count(state, "worker.log")) == ([], 0)
    with Database(state / DATABASE_NAME) as db:
        shown = dict(db.query("SELECT name, tree FROM views"))
    for tree in trees:
        view = GitRepository.discover(tree.path)
        assert shown[view.view_name] == view.head_tree_or_empty()
    assert_index_is_current(found)
    turns = [json.loads(line) for line in (state / "turns.jsonl").read_text().splitlines()]
    turns.sort(key=lambda turn: turn[1])
    assert all(one[2] <= two[1] for one, two in itertools.pairwise(turns))  # never two at once


def test_a_burst_of_commits_starts_one_interpreter(repo, tiny_embedder, interpreter):
    """An interpreter needs a tenth of a second until it is the worker; a rebase does not wait."""
    repo.commit({"a.py": "alpha = 1\n"})
    found = GitRepository.discover(repo.path)
    install(found, interpreter)
    loop = "for i in $(seq 15); do git commit -q --allow-empty -m $i || exit 1; done"
    subprocess.run(["sh", "-c", loop], cwd=repo.path, check=True)
    # Within 0.3 s of the first one, if the machine is not very busy; else there are a few more.
    assert count(found.state_dir, "starts") < 5
    settle(found.state_dir)


def test_status_wait_starts_no_second_interpreter(repo, interpreter):
    repo.commit({"a.py": "alpha = 1\n"})
    found = GitRepository.discover(repo.path)
    install(found, interpreter)
    state = found.state_dir
    Spool(state).append(Event("post-commit", str(found.git_dir)))
    assert all(start_worker(state) for _ in range(5) if worker_alive(state) is None)
    settle(state)
    assert count(state, "starts") == 1


def test_concurrent_processes_create_one_database(tmp_path):
    """A worker and a command may both find none."""
    script = (
        "import sys; from pathlib import Path; from git_copilot.index.store.database import Database\n"
        "sys.stdin.read(1)\n"
        "with Database(Path(sys.argv[1]), create=True) as db: print(db.identity)\n"
    )
    path = tmp_path / "copilot.db"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(8)
    ]  # fmt: skip
    for process in running:  # all are waiting at the door
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in running]
    assert [error for _, error in ended] == [b""] * 8
    assert len({identity for identity, _ in ended}) == 1
