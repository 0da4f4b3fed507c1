"""The worker that the shim wakes: exactly one, which loses nothing and holds up nobody."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from pathlib import Path

from git_copilot.hooks.lock import worker_alive


def test_a_commit_is_silent_and_queues_jobs(lab, silent):
    lab.install()
    silent(lab.repo, "commit", "-q", "--allow-empty", "-m", "x")
    lab.settle()
    head, git_dir = lab.repo.git("rev-parse", "HEAD"), str(lab.repo.git_dir)
    assert [(j["kind"], j["git_dir"], j["head"]) for j in lab.did()] == [
        (kind, git_dir, head) for kind in ("sync", "mine", "refresh")
    ]


def test_the_worker_inherits_no_state_from_the_commit(lab, silent):
    lab.install()
    lab.repo.write({"n": "n"})
    silent(lab.repo, "add", "n")
    silent(
        lab.repo, "-c", "user.name=x", "commit", "-q", "-m", "x", "n",
        GIT_AUTHOR_DATE="1700000000 +0000", PYTHONHOME="/nowhere", VIRTUAL_ENV="/nowhere",
    )  # fmt: skip
    lab.settle()
    (sync,) = lab.did(kind="sync")
    kept = {"PYTHONPATH",  # the lab's interpreter sets it
            "GIT_OPTIONAL_LOCKS", "GIT_NO_LAZY_FETCH", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH",
            "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"}  # fmt: skip
    ours = {name for name in os.environ if name.startswith("PYTHON")} - {"PYTHONHOME"}
    assert set(sync["env"]) <= kept | ours
    assert sync["env"]["GIT_OPTIONAL_LOCKS"] == "0"
    assert sync["nice"] >= 10
    assert sync["leads_session"]


def test_git_does_not_wait_for_the_worker_even_on_a_pipe(lab):
    lab.install(sleep=8)
    read, write = os.pipe()
    begun = time.monotonic()
    # fd `write` reaches the hook: what reads it waits until the last copy is closed.
    done = subprocess.run(
        ["git", "commit", "-q", "--allow-empty", "-m", "x"],
        cwd=lab.repo.path, capture_output=True, pass_fds=[write], timeout=20, check=False,
    )  # fmt: skip
    os.close(write)
    assert os.read(read, 1) == b""
    elapsed = time.monotonic() - begun
    os.close(read)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    lab.until(lambda: lab.did("began"))
    assert not lab.did()
    assert elapsed < 7  # the worker's sleep is 8


def test_a_reused_pid_does_not_keep_the_shim_from_starting_a_worker(lab):
    lab.install()
    (lab.state / "worker.pid").write_text(f"{os.getpid()}\n")  # alive, and no worker
    lab.repo.commit({"b": "b"})
    lab.settle()
    assert lab.did(kind="sync")
    (lab.state / "worker.pid").write_text(f"{os.getpid()}\n")
    # (the worker that left a moment ago takes its file away before it lets go of the lock)
    lab.until(lambda: worker_alive(lab.state) is None)
    assert not (lab.state / "worker.pid").exists()


def test_a_linked_worktree_reports_itself_from_its_first_checkout_on(lab, tmp_path):
    lab.install()
    lab.repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "second trée"))
    lab.settle()
    second = type(lab.repo)(tmp_path / "second trée")
    assert [job["git_dir"] for job in lab.did(kind="sync")] == [str(second.git_dir)]
    head = second.commit({"s": "s"})
    lab.settle()
    syncs = lab.did(kind="sync")
    assert syncs[-1]["git_dir"] == str(second.git_dir)
    assert syncs[-1]["head"] == head
    assert lab.did(kind="mine")[-1]["git_dir"] == str(lab.repo.git_dir)


def test_concurrent_commits_in_two_worktrees_share_one_worker_without_lost_wakeups(lab, tmp_path):
    lab.install()
    lab.repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side tree"))
    lab.settle()
    (lab.state / "began.jsonl").unlink()
    trees = [lab.repo.path, tmp_path / "side tree"]
    loop = "for i in 1 2 3 4 5 6 7 8 9 10; do git commit -q --allow-empty -m $i || exit 1; done"
    running = [subprocess.Popen(["sh", "-c", loop], cwd=tree) for tree in trees]
    assert [process.wait(timeout=30) for process in running] == [0, 0]
    lab.settle()
    for tree in trees:
        repo = type(lab.repo)(tree)
        last = [j for j in lab.did(kind="sync") if j["git_dir"] == str(repo.git_dir)][-1]
        assert last["head"] == repo.git("rev-parse", "HEAD")
    stays = [job["pid"] for job in lab.did("began")]
    # One after the other, never two at once: a pid that left does not come back.
    assert len(list(dict.fromkeys(stays))) == 1 + sum(
        one != two for one, two in itertools.pairwise(stays)
    )
    assert lab.did("began")[-1] == lab.did()[-1]


def test_a_rebase_of_many_commits_runs_one_sync(lab):
    for number in range(8):
        lab.repo.commit({f"{number}.txt": "x"})
    lab.repo.git("branch", "topic")
    lab.repo.git("reset", "-q", "--hard", "HEAD~7")
    lab.repo.commit({"other": "x"})
    lab.repo.git("switch", "-q", "topic")
    lab.install()
    # Slow enough for a worker to start in the middle of it.
    lab.repo.git("rebase", "-q", "-x", "sleep 0.1", "main")
    lab.settle()
    assert [job["head"] for job in lab.did(kind="sync")] == [lab.repo.git("rev-parse", "topic")]


def test_a_stopped_rebase_does_not_block_the_sync(lab):
    lab.repo.commit({"a.txt": "one"})
    lab.repo.git("switch", "-q", "-c", "topic", "HEAD~1")
    lab.repo.commit({"a.txt": "two"})
    lab.install(quiet=0.3)
    lab.repo.git("rebase", "main", check=False)
    assert (Path(lab.repo.git_dir) / "rebase-merge").is_dir()
    lab.settle()
    assert lab.did(kind="sync")


def test_a_killed_worker_loses_nothing(lab):
    lab.install(sleep=60)
    head = lab.repo.commit({"b": "b"})
    lab.until(lambda: lab.did("began"))
    pid = worker_alive(lab.state)
    assert pid == lab.did("began")[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    lab.until(lambda: worker_alive(lab.state) is None)
    assert lab.spool.pending() == 3
    lab.behave(sleep=0)
    lab.repo.git("switch", "-q", "-c", "next")  # any hook wakes the next worker
    lab.settle()
    assert [(job["kind"], job["head"]) for job in lab.did()] == [
        ("sync", head), ("mine", head), ("refresh", head),
    ]  # fmt: skip
    assert lab.spool.set_aside() == []
