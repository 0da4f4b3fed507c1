"""The worker that the shim starts: exactly one, which loses nothing and delays nobody."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from git_copilot.hooks.lock import worker_alive

pytestmark = pytest.mark.e2e


def test_a_commit_is_silent_and_queues_jobs(stub_worker, git_silently):
    stub_worker.install()
    git_silently(stub_worker.repo, "commit", "-q", "--allow-empty", "-m", "x")
    stub_worker.wait_until_idle()
    head, git_dir = stub_worker.repo.git("rev-parse", "HEAD"), str(stub_worker.repo.git_dir)
    assert [(j["kind"], j["git_dir"], j["head"]) for j in stub_worker.jobs()] == [
        (kind, git_dir, head) for kind in ("sync", "mine", "refresh")
    ]


def test_the_worker_inherits_no_state_from_the_commit(stub_worker, git_silently):
    stub_worker.install()
    stub_worker.repo.write({"n": "n"})
    git_silently(stub_worker.repo, "add", "n")
    git_silently(
        stub_worker.repo, "-c", "user.name=x", "commit", "-q", "-m", "x", "n",
        GIT_AUTHOR_DATE="1700000000 +0000", PYTHONHOME="/nowhere", VIRTUAL_ENV="/nowhere",
    )  # fmt: skip
    stub_worker.wait_until_idle()
    (sync,) = stub_worker.jobs(kind="sync")
    kept = {"PYTHONPATH",  # the stub's interpreter sets it
            "GIT_OPTIONAL_LOCKS", "GIT_NO_LAZY_FETCH", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH",
            "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"}  # fmt: skip
    ours = {name for name in os.environ if name.startswith("PYTHON")} - {"PYTHONHOME"}
    assert set(sync["env"]) <= kept | ours
    assert sync["env"]["GIT_OPTIONAL_LOCKS"] == "0"
    assert sync["nice"] >= 10
    assert sync["leads_session"]


def test_git_does_not_wait_for_the_worker_even_on_a_pipe(stub_worker):
    stub_worker.install(sleep=8)
    read, write = os.pipe()
    begun = time.monotonic()
    # fd `write` reaches the hook: what reads it waits until the last copy is closed.
    done = subprocess.run(
        ["git", "commit", "-q", "--allow-empty", "-m", "x"],
        cwd=stub_worker.repo.path, capture_output=True, pass_fds=[write], timeout=20, check=False,
    )  # fmt: skip
    os.close(write)
    assert os.read(read, 1) == b""
    elapsed = time.monotonic() - begun
    os.close(read)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    stub_worker.wait_for(lambda: stub_worker.jobs("began"))
    assert not stub_worker.jobs()
    assert elapsed < 7  # the worker's sleep is 8


def test_a_reused_pid_does_not_keep_the_shim_from_starting_a_worker(stub_worker):
    stub_worker.install()
    (stub_worker.state / "worker.pid").write_text(f"{os.getpid()}\n")  # alive, and no worker
    stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")
    (stub_worker.state / "worker.pid").write_text(f"{os.getpid()}\n")
    # (the worker that left a moment ago takes its file away before it lets go of the lock)
    stub_worker.wait_for(lambda: worker_alive(stub_worker.state) is None)
    assert not (stub_worker.state / "worker.pid").exists()


def test_a_linked_worktree_reports_itself_from_its_first_checkout_on(stub_worker, tmp_path):
    stub_worker.install()
    stub_worker.repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "second trée"))
    stub_worker.wait_until_idle()
    second = type(stub_worker.repo)(tmp_path / "second trée")
    assert [job["git_dir"] for job in stub_worker.jobs(kind="sync")] == [str(second.git_dir)]
    head = second.commit({"s": "s"})
    stub_worker.wait_until_idle()
    syncs = stub_worker.jobs(kind="sync")
    assert syncs[-1]["git_dir"] == str(second.git_dir)
    assert syncs[-1]["head"] == head
    assert stub_worker.jobs(kind="mine")[-1]["git_dir"] == str(stub_worker.repo.git_dir)


def test_concurrent_commits_in_two_worktrees_share_one_worker_without_lost_wakeups(
    stub_worker, tmp_path
):
    stub_worker.install()
    stub_worker.repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side tree"))
    stub_worker.wait_until_idle()
    (stub_worker.state / "began.jsonl").unlink()
    trees = [stub_worker.repo.path, tmp_path / "side tree"]
    loop = "for i in 1 2 3 4 5 6 7 8 9 10; do git commit -q --allow-empty -m $i || exit 1; done"
    running = [subprocess.Popen(["sh", "-c", loop], cwd=tree) for tree in trees]
    assert [process.wait(timeout=30) for process in running] == [0, 0]
    stub_worker.wait_until_idle()
    for tree in trees:
        repo = type(stub_worker.repo)(tree)
        last = [j for j in stub_worker.jobs(kind="sync") if j["git_dir"] == str(repo.git_dir)][-1]
        assert last["head"] == repo.git("rev-parse", "HEAD")
    stays = [job["pid"] for job in stub_worker.jobs("began")]
    # One after the other, never two at once: a pid that left does not come back.
    assert len(list(dict.fromkeys(stays))) == 1 + sum(
        one != two for one, two in itertools.pairwise(stays)
    )
    assert stub_worker.jobs("began")[-1] == stub_worker.jobs()[-1]


def test_a_rebase_of_many_commits_runs_one_sync(stub_worker):
    for number in range(8):
        stub_worker.repo.commit({f"{number}.txt": "x"})
    stub_worker.repo.git("branch", "topic")
    stub_worker.repo.git("reset", "-q", "--hard", "HEAD~7")
    stub_worker.repo.commit({"other": "x"})
    stub_worker.repo.git("switch", "-q", "topic")
    stub_worker.install()
    # Slow enough for a worker to start in the middle of it.
    stub_worker.repo.git("rebase", "-q", "-x", "sleep 0.1", "main")
    stub_worker.wait_until_idle()
    assert [job["head"] for job in stub_worker.jobs(kind="sync")] == [
        stub_worker.repo.git("rev-parse", "topic")
    ]


def test_a_stopped_rebase_does_not_block_the_sync(stub_worker):
    stub_worker.repo.commit({"a.txt": "one"})
    stub_worker.repo.git("switch", "-q", "-c", "topic", "HEAD~1")
    stub_worker.repo.commit({"a.txt": "two"})
    stub_worker.install(quiet=0.3)
    stub_worker.repo.git("rebase", "main", check=False)
    assert (Path(stub_worker.repo.git_dir) / "rebase-merge").is_dir()
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")


def test_a_killed_worker_loses_nothing(stub_worker):
    stub_worker.install(sleep=60)
    head = stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_for(lambda: stub_worker.jobs("began"))
    pid = worker_alive(stub_worker.state)
    assert pid == stub_worker.jobs("began")[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    stub_worker.wait_for(lambda: worker_alive(stub_worker.state) is None)
    assert stub_worker.spool.pending() == 3
    stub_worker.behave(sleep=0)
    stub_worker.repo.git("switch", "-q", "-c", "next")  # any hook wakes the next worker
    stub_worker.wait_until_idle()
    assert [(job["kind"], job["head"]) for job in stub_worker.jobs()] == [
        ("sync", head), ("mine", head), ("refresh", head),
    ]  # fmt: skip
    assert stub_worker.spool.set_aside() == []
