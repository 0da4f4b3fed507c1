"""The worker: single-flight, order, retries, setting aside, stopping."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys

import pytest

from git_copilot.assistant.core import logs
from git_copilot.hooks.events import Event
from git_copilot.hooks.launch import start_worker, stop_worker
from git_copilot.hooks.lock import PID_FILE, START_FILE, WorkerLock, worker_starting
from git_copilot.hooks.worker import MAX_DEATHS, Pace, queue_state, run_worker, worker_alive

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


def test_jobs_run_in_order_and_the_queue_is_empty_afterwards(lab, work):
    assert work() == ["sync", "mine", "refresh"]
    assert lab.spool.pending() == 0
    assert worker_alive(lab.state) is None
    assert sorted(path.name for path in lab.state.iterdir()) == ["spool", "worker.lock"]


def test_jobs_without_handler_or_worktree_are_dropped(lab, work):
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


def test_an_event_while_the_worker_exits_is_not_lost(lab, work, monkeypatch):
    """Its hook saw the pid file and started no worker: the leaving one must look again."""
    leave, late = WorkerLock.__exit__, iter([Event("post-commit", str(lab.repo.git_dir))])

    def commit_then_leave(self, *exc):
        for event in late:
            lab.spool.append(event)
        leave(self, *exc)

    monkeypatch.setattr(WorkerLock, "__exit__", commit_then_leave)
    assert work() == ["sync", "mine", "refresh"] * 2


def test_a_failing_job_is_set_aside_while_others_continue(lab, work, caplog):
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


def test_a_failure_that_a_retry_fixes_is_not_reported(lab, work):
    failures = iter([OSError("busy"), OSError("busy")])

    def stumble(_job):
        for failure in failures:
            raise failure

    work(stumble)
    assert lab.spool.set_aside() == []


DEADLY = """
import logging, os, signal, sys
from pathlib import Path
from git_copilot.hooks.worker import run_worker

def die(job):
    os.kill(os.getpid(), signal.SIGKILL)

def note(job):
    with (Path(sys.argv[1]) / "noted").open("a") as out:
        out.write(job.kind + "\\n")

handlers = {"sync": die, "mine": note, "refresh": note}
run_worker(Path(sys.argv[1]), handlers, log=logging.getLogger())
"""


@pytest.fixture
def die(lab):
    """Runs a worker that is killed by its sync, and returns what else it did."""

    def run(*, event: bool) -> list[str]:
        noted = lab.state / "noted"
        noted.unlink(missing_ok=True)
        if event:
            lab.spool.prepare()
            lab.spool.append(Event("post-commit", str(lab.repo.git_dir)))
        done = subprocess.run([sys.executable, "-c", DEADLY, lab.state], check=False)
        assert done.returncode == -signal.SIGKILL
        assert (lab.state / PID_FILE).exists()  # as after any kill
        return noted.read_text().split() if noted.exists() else []

    return run


def test_a_job_that_kills_the_worker_is_set_aside_too(lab, work, die):
    """Poison that no handler can catch: the process dies, each time."""
    assert die(event=True) == []
    assert die(event=False) == []
    # Twice is suspicious: the others come first now.
    assert die(event=False) == ["mine", "refresh"]
    for _ in range(MAX_DEATHS - 3):
        assert die(event=False) == []
    assert work(event=False) == []
    (entry,) = lab.spool.set_aside()
    assert (entry.kind, entry.attempts) == ("sync", MAX_DEATHS)
    assert "died" in entry.error


def test_a_job_that_always_fails_starves_no_other_and_recovers(lab, work, die):
    turns = [die(event=True) for _ in range(MAX_DEATHS + 3)]
    # Given up after MAX_DEATHS, it still goes last.
    assert turns == [[], [], *[["mine", "refresh"]] * (MAX_DEATHS + 1)]
    assert [(entry.kind, entry.attempts) for entry in lab.spool.set_aside()] == [
        ("sync", MAX_DEATHS)
    ]
    assert work() == ["mine", "refresh", "sync"]
    assert (lab.spool.jobs(), lab.spool.set_aside()) == ((), [])
    assert work() == ["sync", "mine", "refresh"]


def test_an_event_left_to_a_redundant_worker_is_not_lost(lab, work, monkeypatch):
    """A hook saw a worker starting and started none; that worker found the lock taken, and its
    holder had looked at the spool for the last time."""
    lab.spool.prepare()
    (lab.state / START_FILE).write_text(f"{os.getpid()}\n")
    monkeypatch.chdir(lab.state)  # by this a starting worker is known
    acquire, asked = WorkerLock.acquire, []

    def taken_once(state):
        asked.append(worker_starting(state))
        if len(asked) == 1:
            lab.spool.append(Event("post-commit", str(lab.repo.git_dir)))
            return None
        return acquire(state)

    monkeypatch.setattr(WorkerLock, "acquire", taken_once)
    assert work(event=False) == ["sync", "mine", "refresh"]
    assert asked[:2] == [os.getpid(), None]


def test_a_second_worker_exits_at_once(lab, work):
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


def test_a_deleted_state_folder_ends_the_worker_quietly(lab, work, caplog):
    def forget(_job):
        shutil.rmtree(lab.state)

    assert work(forget) == ["sync"]
    assert not lab.state.exists()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_unwritable_spool_is_logged_without_looping(lab, work, caplog):
    lab.spool.prepare()
    (lab.state / "spool/jobs.json").mkdir()
    with pytest.raises(AssertionError, match="1 == 0"):
        work()
    assert "cannot be read or written" in caplog.text


def test_status_shows_the_running_job_and_a_stopped_job_is_resumed(lab):
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
    assert (lab.spool.jobs()[0].attempts, lab.spool.jobs()[0].deaths) == (0, 0)
    lab.behave(sleep=0)
    assert start_worker(lab.state)
    lab.settle()
    assert [job["kind"] for job in lab.did()] == ["sync", "mine", "refresh"]


def test_the_launcher_leaves_no_zombie(lab):
    lab.install()
    lab.spool.append(Event("post-commit", str(lab.repo.git_dir)))
    assert start_worker(lab.state)
    lab.settle()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert lab.did("began")[0]["leads_session"]
    assert lab.did("began")[0]["nice"] >= 10


def test_without_a_recorded_interpreter_nothing_is_started(lab):
    assert not start_worker(lab.state)  # no state folder
    lab.install()
    lab.interpreter.unlink()
    assert not start_worker(lab.state)
    (lab.state / "python").unlink()
    assert not start_worker(lab.state)


def test_the_log_is_rotated_and_bounded(lab, monkeypatch):
    monkeypatch.setattr(logs, "LOG_BYTES", 2_000)
    lab.state.mkdir()
    for stay in range(5):  # workers come and go
        log = logs.worker_log(lab.state, "worker")
        for number in range(20):
            log.info("stay %d, line %d: %s", stay, number, "x" * 40)
        log.handlers[0].close()
    files = sorted((lab.state / "log").iterdir())
    assert [file.name for file in files] == ["worker.log", "worker.log.1", "worker.log.2"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert "stay 4, line 19" in files[0].read_text()
