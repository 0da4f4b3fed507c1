"""The worker: single-flight, order, retries, setting aside, stopping."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys

import pytest

from git_copilot.hooks.events import Event
from git_copilot.hooks.launch import start_worker, stop_worker
from git_copilot.hooks.lock import PID_FILE, WorkerLock
from git_copilot.hooks.worker import Pace, queue_state, run_worker, worker_alive

LOG = logging.getLogger("test")
PACE = Pace(backoff_s=0.01, poll_s=0.01)


@pytest.fixture
def work(lab):
    """Queues one event, runs the worker in this process and returns what it was asked."""

    def run(handler=lambda _job: None, *, event: bool = True, **options):
        asked = []

        def note(job):
            asked.append((job.kind, job.git_dir))
            handler(job)

        lab.spool.prepare()
        if event:
            lab.spool.append(Event("post-commit", str(lab.repo.git_dir)))
        kinds = options.pop("kinds", ("sync", "mine", "refresh"))
        assert run_worker(
            lab.state, dict.fromkeys(kinds, note), log=LOG, pace=PACE, detached=False, **options
        ) == options.pop("code", 0)
        return [kind for kind, _ in asked]

    return run


def test_jobs_run_in_order_and_nothing_is_left(lab, work):
    assert work() == ["sync", "mine", "refresh"]
    assert lab.spool.pending() == 0
    assert worker_alive(lab.state) is None
    assert sorted(path.name for path in lab.state.iterdir()) == ["spool", "worker.lock"]


def test_a_kind_without_handler_and_a_worktree_that_is_gone_are_dropped(lab, work):
    lab.spool.prepare()
    lab.spool.append(Event("post-commit", str(lab.repo.git_dir / "worktrees/gone")))
    assert work(event=False, kinds=("sync", "mine")) == ["mine"]
    assert (lab.spool.pending(), lab.spool.set_aside()) == (0, [])


def test_an_event_during_a_job_makes_it_run_again(lab, work):
    events = iter([Event("post-merge", str(lab.repo.git_dir))])

    def commit_meanwhile(job):
        if job.kind == "mine":
            for event in events:
                lab.spool.append(event)

    # The sync comes first again; the mining that is asked for anew comes once.
    assert work(commit_meanwhile) == ["sync", "mine", "sync", "mine", "refresh"]


def test_an_event_while_the_worker_leaves_is_not_lost(lab, work, monkeypatch):
    """Its hook saw the pid file and started no worker: the leaving one must look again."""
    leave, late = WorkerLock.__exit__, iter([Event("post-commit", str(lab.repo.git_dir))])

    def commit_then_leave(self, *exc):
        for event in late:
            lab.spool.append(event)
        leave(self, *exc)

    monkeypatch.setattr(WorkerLock, "__exit__", commit_then_leave)
    assert work() == ["sync", "mine", "refresh"] * 2


def test_a_poisoned_job_is_set_aside_while_the_others_go_on(lab, work, caplog):
    def poison(job):
        if job.kind == "sync":
            raise ValueError("bad blob")

    asked = work(poison)
    assert (asked.count("sync"), asked.count("mine"), asked.count("refresh")) == (3, 1, 1)
    assert asked.index("mine") < 2  # not behind the retries
    (entry,) = lab.spool.set_aside()
    assert (entry.kind, entry.git_dir) == ("sync", str(lab.repo.git_dir))
    assert (entry.attempts, entry.error) == (3, "ValueError: bad blob")
    assert "bad blob" in caplog.text
    assert lab.spool.pending() == 0
    assert work() == ["sync", "mine", "refresh"]  # a new event gives it a new chance
    assert lab.spool.set_aside() == []


def test_a_failure_that_passes_is_not_reported(lab, work):
    failures = iter([OSError("busy"), OSError("busy")])

    def stumble(_job):
        for failure in failures:
            raise failure

    work(stumble)
    assert lab.spool.set_aside() == []


def test_a_job_that_kills_the_worker_is_set_aside_too(lab, work):
    """Poison that no handler can catch: the process dies, each time."""
    lab.spool.prepare()
    lab.spool.append(Event("post-commit", str(lab.repo.git_dir)))
    script = (
        "import os, signal, sys, logging; from pathlib import Path\n"
        "from git_copilot.hooks.worker import run_worker\n"
        "die = lambda job: os.kill(os.getpid(), signal.SIGKILL)\n"
        "run_worker(Path(sys.argv[1]), {'sync': die}, log=logging.getLogger())\n"
    )
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script, lab.state], check=False)
        assert done.returncode == -signal.SIGKILL
        assert (lab.state / PID_FILE).exists()  # as after any kill
    assert work(event=False) == ["mine", "refresh"]
    (entry,) = lab.spool.set_aside()
    assert (entry.kind, entry.attempts) == ("sync", 3)
    assert "died" in entry.error


def test_a_second_worker_leaves_at_once(lab, work):
    lab.state.mkdir()
    with WorkerLock.acquire(lab.state):
        assert worker_alive(lab.state) == os.getpid()
        assert work() == []
        assert lab.spool.pending() == 1
    assert worker_alive(lab.state) is None
    assert work(event=False) == ["sync", "mine", "refresh"]


def test_a_forked_child_does_not_keep_the_lock(lab):
    lab.state.mkdir()
    with WorkerLock.acquire(lab.state):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # until the parent lets go
            os._exit(0)
        os.close(read)
    try:
        again = WorkerLock.acquire(lab.state)
        assert again is not None
        with again:
            pass
    finally:
        os.close(write)
        os.waitpid(child, 0)


def test_a_state_folder_that_goes_away_ends_the_worker_quietly(lab, work, caplog):
    def forget(_job):
        shutil.rmtree(lab.state)

    assert work(forget) == ["sync"]
    assert not lab.state.exists()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_spool_that_cannot_be_written_is_logged_not_looped(lab, work, caplog):
    lab.spool.prepare()
    (lab.state / "spool/jobs.json").mkdir()
    with pytest.raises(AssertionError, match="1 == 0"):
        work()
    assert "cannot be read or written" in caplog.text


def test_status_sees_what_runs_and_a_stopped_job_is_done_later(lab):
    lab.install(sleep=60)
    lab.spool.append(Event("post-commit", str(lab.repo.git_dir)))
    assert queue_state(lab.state).pending == 1
    assert start_worker(lab.state)
    lab.until(lambda: lab.did("began"))
    state = queue_state(lab.state)
    assert (state.pending, state.running.kind) == (2, "sync")
    assert state.since > 0
    assert not start_worker(lab.state)
    assert stop_worker(lab.state)
    state = queue_state(lab.state)
    assert (state.pending, state.running) == (3, None)
    assert lab.spool.jobs()[0].attempts == 0
    lab.behave(sleep=0)
    assert start_worker(lab.state)
    lab.settle()
    assert [job["kind"] for job in lab.did()] == ["sync", "mine", "refresh"]


def test_the_launcher_leaves_no_child_behind(lab):
    lab.install()
    lab.spool.append(Event("post-commit", str(lab.repo.git_dir)))
    assert start_worker(lab.state)
    lab.settle()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert lab.did("began")[0]["leads_session"]
    assert lab.did("began")[0]["nice"] >= 10


def test_nothing_recorded_nothing_started(lab):
    assert not start_worker(lab.state)  # no state folder
    lab.install()
    lab.interpreter.unlink()
    assert not start_worker(lab.state)
    (lab.state / "python").unlink()
    assert not start_worker(lab.state)
