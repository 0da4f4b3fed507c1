"""`git commit` never fails, waits or says anything because of us; and once the trouble is gone,
the index catches up. Here the worker is the real one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from git_copilot.hooks.install import install
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.lock import worker_alive, worker_starting
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME
from tests.support.commands import Copilot
from tests.support.gitrepo import GitRepo
from tests.support.index_assertions import assert_index_is_current
from tests.support.worker_failures import (
    assert_recovers,
    commit_and_switch,
    use_interpreter,
    wait_for_worker,
)

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "line",
    [
        f'exec "{sys.executable}" -S "$@"',  # a Python that does not have the package
        "echo Traceback >&2; echo no module; exit 1",
        "kill -SEGV $$",
        "exec /nowhere/python",
        "sleep 60",
        "while :; do echo noise; echo noise >&2; done",
    ],
    ids=["package removed", "package broken", "crashes", "gone", "hangs", "noisy"],
)
def test_git_is_unaffected_whatever_the_interpreter_does(indexed_repo, git_silently, line):
    use_interpreter(indexed_repo, line)
    begun = time.monotonic()
    commit_and_switch(git_silently, indexed_repo)
    assert time.monotonic() - begun < 45  # less than the sleep, however busy the machine is
    found = GitRepository.discover(indexed_repo.path)
    assert Spool(found.state_dir).pending() > 0
    pid = worker_starting(found.state_dir)
    if pid:
        os.kill(pid, 9)
    assert_recovers(indexed_repo)


def break_database(state: Path) -> None:
    path = state / DATABASE_NAME
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(b"SQLite format 3\0" + b"rubbish " * 1000)


def test_a_corrupt_database_is_reported_and_repaired_by_one_command(indexed_repo, git_silently):
    found = GitRepository.discover(indexed_repo.path)
    break_database(found.state_dir)
    commit_and_switch(git_silently, indexed_repo)
    wait_for_worker(found.state_dir)
    given_up = Spool(found.state_dir).set_aside()
    assert {entry.kind for entry in given_up} == {"sync", "mine", "refresh"}
    assert all("git copilot index --rebuild" in entry.error for entry in given_up)
    Copilot(indexed_repo.path).ok("index", "--rebuild")
    wait_for_worker(found.state_dir)
    assert (Spool(found.state_dir).pending(), Spool(found.state_dir).set_aside()) == (0, [])
    assert_index_is_current(found)


def test_a_locked_database_delays_the_worker_but_not_git(indexed_repo, git_silently):
    found = GitRepository.discover(indexed_repo.path)
    holder = sqlite3.connect(found.state_dir / DATABASE_NAME, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    commit_and_switch(git_silently, indexed_repo)
    while worker_alive(found.state_dir) is None:
        time.sleep(0.02)
    holder.execute("ROLLBACK")
    holder.close()
    wait_for_worker(found.state_dir)
    assert (Spool(found.state_dir).pending(), Spool(found.state_dir).set_aside()) == (0, [])
    assert_index_is_current(found)


def test_events_survive_moving_the_repository(indexed_repo, git_silently):
    use_interpreter(indexed_repo, "exit 0")
    commit_and_switch(git_silently, indexed_repo)
    found = GitRepository.discover(indexed_repo.path)
    wait_for_worker(
        found.state_dir
    )  # the script may still be starting, and would be waited for instead
    # Half of it is queued already, by a worker that was killed then.
    Spool(found.state_dir).collect()
    indexed_repo.git("commit", "-q", "--allow-empty", "-m", "one more")
    wait_for_worker(found.state_dir)
    there = indexed_repo.path.parent / "a new\nplace"
    indexed_repo.path.rename(there)
    moved = GitRepo(there)
    found = GitRepository.discover(there)
    install(found, sys.executable)
    assert start_worker(found.state_dir)
    wait_for_worker(found.state_dir)
    assert Spool(found.state_dir).pending() == 0
    assert_index_is_current(found)
    commit_and_switch(git_silently, moved, "again")
    wait_for_worker(found.state_dir)
    assert_index_is_current(found)


@pytest.mark.parametrize(
    "name", ["with spacé", "new\nline", "-rf", os.fsdecode(b"latin-\xe9"), "'q\"\\%s\t$(touch x)"]
)
def test_hooks_work_in_any_path_of_repository_and_worktree(
    tiny_embedder, git_silently, tmp_path, name
):
    repo = GitRepo.init(tmp_path / name)
    repo.commit({"a.py": "alpha = 1\n"})
    found = GitRepository.discover(repo.path)
    install(found, sys.executable)
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / f"{name} 2"))
    commit_and_switch(git_silently, repo)
    second = GitRepo(tmp_path / f"{name} 2")
    git_silently(second, "commit", "-q", "--allow-empty", "-m", "x")
    second.commit({"b.py": "beta = alpha\n"})
    wait_for_worker(found.state_dir)
    assert (Spool(found.state_dir).pending(), Spool(found.state_dir).set_aside()) == (0, [])
    assert_index_is_current(found)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[:4] != "cach") == sorted(
        [name, f"{name} 2"]
    )


def test_the_worker_does_not_keep_gits_output_pipe_open(indexed_repo):
    use_interpreter(indexed_repo, "sleep 30")
    begun = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", "git commit --allow-empty -m x 2>&1 | cat; git switch -c y 2>&1 | cat"],
        cwd=indexed_repo.path, capture_output=True, timeout=25, check=False,
    )  # fmt: skip
    assert time.monotonic() - begun < 25  # less than the sleep
    assert b"copilot" not in done.stdout.replace(indexed_repo.path.name.encode(), b"")
    pid = worker_starting(GitRepository.discover(indexed_repo.path).state_dir)
    assert pid is not None
    os.kill(pid, 9)


def test_hooks_work_with_an_empty_environment_and_closed_streams(indexed_repo):
    done = subprocess.run(
        ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={os.environ['HOME']}", "sh", "-c",
         "exec git -c user.name=a -c user.email=b commit -q --allow-empty -m x <&- >&-"],
        cwd=indexed_repo.path, stderr=subprocess.PIPE, timeout=20, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    wait_for_worker(GitRepository.discover(indexed_repo.path).state_dir)
    assert_recovers(indexed_repo)


def test_deleting_the_state_folder_under_the_worker_is_harmless(indexed_repo, git_silently):
    found = GitRepository.discover(indexed_repo.path)
    use_interpreter(indexed_repo, f'sleep 0.2; exec "{sys.executable}" "$@"')
    commit_and_switch(git_silently, indexed_repo)
    shutil.rmtree(found.state_dir)
    commit_and_switch(git_silently, indexed_repo, "later")
    assert not (found.state_dir / "spool").exists()
    assert_recovers(indexed_repo)
