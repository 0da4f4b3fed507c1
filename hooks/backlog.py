"""`git copilot doctor`'s checks of the spool and the worker: waiting, running and failed jobs.

Read-only.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from git_copilot.hooks.doctor import INSTALL, CheckResult
from git_copilot.hooks.launch import recorded_interpreter
from git_copilot.hooks.lock import START_FILE, read_pid, worker_alive, worker_starting
from git_copilot.hooks.spool import MAX_BYTES, Spool
from git_copilot.hooks.worker import SUSPECT_DEATHS, queue_state
from git_copilot.index.git.repository import GitRepository

RETRY = "git copilot doctor --retry"
WORK = "git copilot status --wait"
# Warn if a job runs, or a worker starts, for longer. Mining a long history takes minutes.
LONG_RUN_S, LONG_START_S = 3600.0, 60.0
# Events that wait longer while no worker runs mean that the worker could not start.
LONG_WAIT_S = 60.0
LOG_TAIL = 200_000  # bytes
_RECORD = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} ([A-Z]+) (.*)$")


def examine_backlog(repo: GitRepository) -> Iterator[CheckResult]:
    """Check the spool, the worker, the jobs that were given up, and the logs."""
    state = repo.state_dir
    spool = Spool(state)
    yield _place(state)
    yield _worker(state, spool)
    for entry in spool.jobs():
        if entry.deaths >= SUSPECT_DEATHS:
            what = _named(repo, entry.job.kind, entry.job.git_dir)
            told = f"{entry.deaths} workers in a row were killed while running {what}"
            yield CheckResult("queue", "warn", told, f"see {state / 'log/worker.log'}")
    for given_up in spool.set_aside():
        what = _named(repo, given_up.kind, given_up.git_dir)
        told = (
            f"{what} was given up {_ago(given_up.time)} after {given_up.attempts} attempts: "
            f"{_one_line(given_up.error)}"
        )
        yield CheckResult("queue", "fail", told, RETRY)
    for name in ("worker", "refresh"):
        yield from _log(state / "log" / f"{name}.log")


def _place(state: Path) -> CheckResult:
    folder = state / "spool"
    if not folder.is_dir():
        what = "is not a folder" if os.path.lexists(folder) else "is missing"
        mend = INSTALL if not os.path.lexists(folder) else f"mv '{folder}' elsewhere; {INSTALL}"
        return CheckResult("spool", "fail", f"{folder} {what}: events are lost", mend)
    for path in (state, folder, folder / "events"):
        writable = os.access(path, os.W_OK) and not os.statvfs(path).f_flag & os.ST_RDONLY
        if path.exists() and not writable and not os.access(state.parent / "objects", os.W_OK):
            told = "the repository is read-only for you, so there are no commits and no events"
            return CheckResult("spool", "warn", told, "work in a clone of your own")
        if (path.exists() and not writable) or (path.name == "events" and path.is_dir()):
            told = f"{path} is not writable: events are lost"
            return CheckResult("spool", "fail", told, f"chown -R \"$(id -un)\" '{state}'")
    size = (folder / "events").stat().st_size if (folder / "events").exists() else 0
    if size > MAX_BYTES // 2:
        told = f"{size // 1024} KiB of unprocessed events (limit: {MAX_BYTES // 1024} KiB)"
        return CheckResult("spool", "warn", told, WORK)
    return CheckResult("spool", "ok", f"{folder} accepts events")


def _worker(state: Path, spool: Spool) -> CheckResult:
    """Whether a worker processes the waiting jobs."""
    queue = queue_state(state)
    starting, since = worker_starting(state), spool.waiting_since()
    waiting = f"{queue.pending} waiting" + (f", the oldest {_ago(since)}" if since else "")
    pid = worker_alive(state) and read_pid(state)
    if pid and queue.running:
        begun = queue.since or time.time()
        told = f"process {pid} runs {queue.running.kind}, started {_ago(begun)}; {waiting}"
        if time.time() - begun > LONG_RUN_S:
            return CheckResult("worker", "warn", told, f"kill {pid}  # the job is retried later")
        return CheckResult("worker", "ok", told)
    if pid:
        return CheckResult("worker", "ok", f"process {pid}; {waiting}")
    if starting:
        begun = (state / START_FILE).stat().st_mtime if (state / START_FILE).exists() else 0.0
        told = f"process {starting} is starting, launched {_ago(begun)}; {waiting}"
        slow = time.time() - begun > LONG_START_S
        return CheckResult(
            "worker", "warn" if slow else "ok", told, f"kill {starting}" if slow else ""
        )
    if not queue.pending:
        return CheckResult("worker", "ok", "not running, and nothing is waiting")
    if recorded_interpreter(state) is None:
        return CheckResult("worker", "fail", f"cannot be started; {waiting}", INSTALL)
    waits = since is not None and time.time() - since > LONG_WAIT_S
    return CheckResult("worker", "warn" if waits else "ok", f"not running; {waiting}", WORK)


@dataclass(frozen=True, slots=True)
class _Record:
    time: float
    level: str
    text: str


def _log(path: Path) -> Iterator[CheckResult]:
    """The last failure in a log, and whether jobs have succeeded since."""
    last: _Record | None = None
    well = 0
    for record in _records(path):
        if "was set aside" in record.text:
            continue  # the failure that led to it is logged before
        if record.level in ("ERROR", "CRITICAL"):
            last, well = record, 0
        elif record.level == "INFO":
            well += 1
    name = path.stem
    if last is None:
        if path.exists():
            yield CheckResult("log", "ok", f"{name}: no failure in {path}")
        return
    told = f"{name}: {_ago(last.time)}: {last.text}"
    if well:
        yield CheckResult("log", "ok", f"{told}; jobs succeeded since: {well}")
    else:
        yield CheckResult("log", "warn", told, f"tail '{path}'")


def _records(path: Path) -> Iterator[_Record]:
    """The last records of a log; a traceback is one record, reduced to its last line."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return
    current: _Record | None = None
    for line in lines:
        found = _RECORD.match(line)
        if found:
            if current is not None:
                yield current
            when = time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S"))
            current = _Record(when, found[2], found[3])
        elif current is not None and line and not line[0].isspace():
            head = current.text.partition(": ")[0] if ": " in current.text else current.text
            if not line.startswith("Traceback"):
                current = _Record(current.time, current.level, f"{head}: {_one_line(line)}")
    if current is not None:
        yield current


def _named(repo: GitRepository, kind: str, git_dir: str) -> str:
    """A readable name for a job."""
    if kind != "sync" or git_dir == str(repo.common_dir):
        return kind
    return f"{kind} of {os.path.relpath(git_dir, repo.common_dir)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _ago(moment: float) -> str:
    """How long ago a time (seconds since the epoch) was."""
    seconds = max(0.0, time.time() - moment)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
