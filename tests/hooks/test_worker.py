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
from tests.support.own_children import own_children

LOG = logging.getLogger("test")
PACE = Pace(backoff_s=0.01, poll_s=0.01)


@pytest.fixture
def run_jobs(stub_worker):
    """Queues one event, runs the worker in this process and returns what it was asked."""

    def run(handler=lambda _job: None, *, event: bool = True, **options):
        asked = []

        def note(job):
            asked.append((job.kind, job.git_dir))
            handler(job)

        stub_worker.spool.prepare()
        if event:
            stub_worker.spool.append(Event("post-commit", str(stub_worker.repo.git_dir)))
        kinds = options.pop("kinds", ("sync", "mine", "refresh"))
        assert run_worker(
            stub_worker.state,
            dict.fromkeys(kinds, note),
            log=LOG,
            pace=PACE,
            detached=False,
            **options,
        ) == options.pop("code", 0)
        return [kind for kind, _ in asked]

    return run


def test_jobs_run_in_order_and_the_queue_is_empty_afterwards(stub_worker, run_jobs):
    assert run_jobs() == ["sync", "mine", "refresh"]
    assert stub_worker.spool.pending() == 0
    assert worker_alive(stub_worker.state) is None
    assert sorted(path.name for path in stub_worker.state.iterdir()) == ["spool", "worker.lock"]


def test_jobs_without_handler_or_worktree_are_dropped(stub_worker, run_jobs):
    stub_worker.spool.prepare()
    stub_worker.spool.append(Event("post-commit", str(stub_worker.repo.git_dir / "worktrees/gone")))
    assert run_jobs(event=False, kinds=("sync", "mine")) == ["mine"]
    assert (stub_worker.spool.pending(), stub_worker.spool.set_aside()) == (0, [])


def test_an_event_during_a_job_makes_it_run_again(stub_worker, run_jobs):
    events = iter([Event("post-merge", str(stub_worker.repo.git_dir))])

    def commit_meanwhile(job):
        if job.kind == "mine":
            for event in events:
                stub_worker.spool.append(event)

    # The sync comes first again; the mining that is asked for anew comes once.
    assert run_jobs(commit_meanwhile) == ["sync", "mine", "sync", "mine", "refresh"]


def test_an_event_while_the_worker_exits_is_not_lost(stub_worker, run_jobs, monkeypatch):
    """Its hook saw the pid file and started no worker: the leaving one must look again."""
    leave, late = WorkerLock.__exit__, iter([Event("post-commit", str(stub_worker.repo.git_dir))])

    def commit_then_leave(self, *exc):
        for event in late:
            stub_worker.spool.append(event)
        leave(self, *exc)

    monkeypatch.setattr(WorkerLock, "__exit__", commit_then_leave)
    assert run_jobs() == ["sync", "mine", "refresh"] * 2


def test_a_failing_job_is_set_aside_while_others_continue(stub_worker, run_jobs, caplog):
    def poison(job):
        if job.kind == "sync":
            raise ValueError("bad blob")

    asked = run_jobs(poison)
    assert (asked.count("sync"), asked.count("mine"), asked.count("refresh")) == (3, 1, 1)
    assert asked.index("mine") < 2  # not behind the retries
    (entry,) = stub_worker.spool.set_aside()
    assert (entry.kind, entry.git_dir) == ("sync", str(stub_worker.repo.git_dir))
    assert (entry.attempts, entry.error) == (3, "ValueError: bad blob")
    assert "bad blob" in caplog.text
    assert stub_worker.spool.pending() == 0
    assert run_jobs() == ["sync", "mine", "refresh"]  # a new event gives it a new chance
    assert stub_worker.spool.set_aside() == []


def test_a_failure_that_a_retry_fixes_is_not_reported(stub_worker, run_jobs):
    failures = iter([OSError("busy"), OSError("busy")])

    def stumble(_job):
        for failure in failures:
            raise failure

    run_jobs(stumble)
    assert stub_worker.spool.set_aside() == []


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
def run_killed(stub_worker):
    """Runs a worker that is killed by its sync, and returns what else it did."""

    def run(*, event: bool) -> list[str]:
        noted = stub_worker.state / "noted"
        noted.unlink(missing_ok=True)
        if event:
            stub_worker.spool.prepare()
            stub_worker.spool.append(Event("post-commit", str(stub_worker.repo.git_dir)))
        done = subprocess.run([sys.executable, "-c", DEADLY, stub_worker.state], check=False)
        assert done.returncode == -signal.SIGKILL
        assert (stub_worker.state / PID_FILE).exists()  # as after any kill
        return noted.read_text().split() if noted.exists() else []

    return run


def test_a_job_that_kills_the_worker_is_set_aside_too(stub_worker, run_jobs, run_killed):
    """Poison that no handler can catch: the process dies, each time."""
    assert run_killed(event=True) == []
    assert run_killed(event=False) == []
    # Twice is suspicious: the others come first now.
    assert run_killed(event=False) == ["mine", "refresh"]
    for _ in range(MAX_DEATHS - 3):
        assert run_killed(event=False) == []
    assert run_jobs(event=False) == []
    (entry,) = stub_worker.spool.set_aside()
    assert (entry.kind, entry.attempts) == ("sync", MAX_DEATHS)
    assert "died" in entry.error


def test_a_job_that_always_fails_starves_no_other_and_recovers(stub_worker, run_jobs, run_killed):
    turns = [run_killed(event=True) for _ in range(MAX_DEATHS + 3)]
    # Given up after MAX_DEATHS, it still goes last.
    assert turns == [[], [], *[["mine", "refresh"]] * (MAX_DEATHS + 1)]
    assert [(entry.kind, entry.attempts) for entry in stub_worker.spool.set_aside()] == [
        ("sync", MAX_DEATHS)
    ]
    assert run_jobs() == ["mine", "refresh", "sync"]
    assert (stub_worker.spool.jobs(), stub_worker.spool.set_aside()) == ((), [])
    assert run_jobs() == ["sync", "mine", "refresh"]


def test_an_event_left_to_a_redundant_worker_is_not_lost(stub_worker, run_jobs, monkeypatch):
    """A hook saw a worker starting and started none; that worker found the lock taken, and its
    holder had looked at the spool for the last time."""
    stub_worker.spool.prepare()
    (stub_worker.state / START_FILE).write_text(f"{os.getpid()}\n")
    monkeypatch.chdir(stub_worker.state)  # by this a starting worker is known
    acquire, asked = WorkerLock.acquire, []

    def taken_once(state):
        asked.append(worker_starting(state))
        if len(asked) == 1:
            stub_worker.spool.append(Event("post-commit", str(stub_worker.repo.git_dir)))
            return None
        return acquire(state)

    monkeypatch.setattr(WorkerLock, "acquire", taken_once)
    assert run_jobs(event=False) == ["sync", "mine", "refresh"]
    assert asked[:2] == [os.getpid(), None]


def test_a_second_worker_exits_at_once(stub_worker, run_jobs):
    stub_worker.state.mkdir()
    with WorkerLock.acquire(stub_worker.state):
        assert worker_alive(stub_worker.state) == os.getpid()
        assert run_jobs() == []
        assert stub_worker.spool.pending() == 1
    assert worker_alive(stub_worker.state) is None
    assert run_jobs(event=False) == ["sync", "mine", "refresh"]


def test_a_forked_child_does_not_keep_the_lock(stub_worker):
    stub_worker.state.mkdir()
    with WorkerLock.acquire(stub_worker.state):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # until the parent lets go
            os._exit(0)
        os.close(read)
    try:
        again = WorkerLock.acquire(stub_worker.state)
        assert again is not None
        with again:
            pass
    finally:
        os.close(write)
        os.waitpid(child, 0)


def test_a_deleted_state_folder_ends_the_worker_quietly(stub_worker, run_jobs, caplog):
    def forget(_job):
        shutil.rmtree(stub_worker.state)

    assert run_jobs(forget) == ["sync"]
    assert not stub_worker.state.exists()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_unwritable_spool_is_logged_without_looping(stub_worker, run_jobs, caplog):
    stub_worker.spool.prepare()
    (stub_worker.state / "spool/jobs.json").mkdir()
    with pytest.raises(AssertionError, match="1 == 0"):
        run_jobs()
    assert "cannot read or write the spool" in caplog.text


def test_status_shows_the_running_job_and_a_stopped_job_is_resumed(stub_worker):
    stub_worker.install(sleep=60)
    stub_worker.spool.append(Event("post-commit", str(stub_worker.repo.git_dir)))
    assert queue_state(stub_worker.state).pending == 1
    assert start_worker(stub_worker.state)
    stub_worker.wait_for(lambda: stub_worker.jobs("began"))
    state = queue_state(stub_worker.state)
    assert (state.pending, state.running.kind) == (2, "sync")
    assert state.since > 0
    assert not start_worker(stub_worker.state)
    assert stop_worker(stub_worker.state)
    state = queue_state(stub_worker.state)
    assert (state.pending, state.running) == (3, None)
    assert (stub_worker.spool.jobs()[0].attempts, stub_worker.spool.jobs()[0].deaths) == (0, 0)
    stub_worker.behave(sleep=0)
    assert start_worker(stub_worker.state)
    stub_worker.wait_until_idle()
    assert [job["kind"] for job in stub_worker.jobs()] == ["sync", "mine", "refresh"]


def test_the_launcher_leaves_no_zombie(stub_worker):
    stub_worker.install()
    stub_worker.spool.append(Event("post-commit", str(stub_worker.repo.git_dir)))
    before = own_children()  # tests before this one may have left some
    assert start_worker(stub_worker.state)
    stub_worker.wait_until_idle()
    assert own_children() <= before
    assert stub_worker.jobs("began")[0]["leads_session"]
    assert stub_worker.jobs("began")[0]["nice"] >= 10


def test_without_a_recorded_interpreter_nothing_is_started(stub_worker):
    assert not start_worker(stub_worker.state)  # no state folder
    stub_worker.install()
    stub_worker.interpreter.unlink()
    assert not start_worker(stub_worker.state)
    (stub_worker.state / "python").unlink()
    assert not start_worker(stub_worker.state)


def test_the_log_is_rotated_and_bounded(stub_worker, monkeypatch):
    monkeypatch.setattr(logs, "LOG_BYTES", 2_000)
    stub_worker.state.mkdir()
    for stay in range(5):  # workers come and go
        log = logs.worker_log(stub_worker.state, "worker")
        for number in range(20):
            log.info("stay %d, line %d: %s", stay, number, "x" * 40)
        log.handlers[0].close()
    files = sorted((stub_worker.state / "log").iterdir())
    assert [file.name for file in files] == ["worker.log", "worker.log.1", "worker.log.2"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert "stay 4, line 19" in files[0].read_text()
