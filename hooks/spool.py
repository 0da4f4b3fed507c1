"""Events on their way from git to the worker, and jobs on their way to being done.

``spool/events``       appended to by every hook, one line each
``spool/claimed-<n>``  events that the worker has renamed away; read, then deleted
``spool/jobs.json``    the queue, and how far each claimed file has been read into it
``spool/set-aside.jsonl``  jobs that kept failing

Every step is one rename, one unlink or one append, so a kill between any two leaves a state
from which :meth:`Spool.collect` continues. Nothing is synced to the disk: after a power cut
the catch-up at query time does what a lost hint would have done. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from git_copilot.hooks.events import Event, decode_all, encode
from git_copilot.hooks.plan import JOB_KINDS, Job, merge, plan

MAX_EVENTS = 10_000
MAX_BYTES = 1 << 20  # about twice MAX_EVENTS lines; shim.sh names the same bound

# A shim that opened ``events`` just before the rename writes to the claimed file. Claimed
# files are kept this long and looked at again before they are deleted.
TAIL_GRACE_S = 0.1
STALE_S = 3600.0


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job with its history: ``attempts`` counts starts, also those that a kill ended."""

    job: Job
    attempts: int = 0
    error: str = ""
    running_since: float | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A job that was given up, and why."""

    kind: str
    git_dir: str
    attempts: int
    error: str
    time: float


@dataclass(frozen=True, slots=True)
class Collected:
    """How many new events were claimed, and how many lines were malformed and dropped."""

    events: int = 0
    malformed: int = 0


@dataclass(frozen=True, slots=True)
class _State:
    jobs: tuple[QueuedJob, ...] = ()
    merged: dict[str, int] = field(default_factory=dict)


class Spool:
    """The spool of one repository, below its state folder."""

    def __init__(self, state_dir: Path) -> None:
        # Not `resolve().parent`: the state folder itself may be a link to another disk.
        self._common_dir = str(state_dir.absolute().parent.resolve())
        self._folder = state_dir / "spool"
        self._events = self._folder / "events"
        self._jobs = self._folder / "jobs.json"
        self._aside = self._folder / "set-aside.jsonl"

    def prepare(self) -> None:
        """Create the folder; sweep out half-written files that kills left long ago."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob(".*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < time.time() - STALE_S:
                    path.unlink()

    # -- what hooks and readers use ------------------------------------------------------

    def append(self, event: Event) -> None:
        """Record one event; the oldest make room when nobody has read them for long.

        :raises OSError: the folder is missing (see :meth:`prepare`) or cannot be written.
        """
        line = encode(event, self._common_dir)
        fd = os.open(self._events, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.write(fd, line)
            too_long = os.fstat(fd).st_size > MAX_BYTES
        finally:
            os.close(fd)
        if too_long:
            kept = _last_lines(self._events.read_bytes(), MAX_EVENTS // 2)
            _write(self._events, kept)

    def pending(self) -> int:
        """How much is not done yet: unread events plus queued jobs, the running one included."""
        state = self._load()
        unread = sum(
            data.count(b"\n")
            for path in (self._events, *self._claimed())
            if (data := _read_from(path, state.merged.get(path.name, 0)))
        )
        return unread + len(state.jobs)

    def jobs(self) -> tuple[QueuedJob, ...]:
        """The queue in the order in which it will be worked off."""
        return self._load().jobs

    def set_aside(self) -> list[SetAside]:
        """The jobs that were given up, oldest first, one entry for each job."""
        try:
            lines = self._aside.read_text("utf-8", "surrogateescape").splitlines()
        except OSError:
            return []
        entries: dict[tuple[str, str], SetAside] = {}
        for line in lines:
            try:
                entry = SetAside(**json.loads(line))
            except (ValueError, TypeError):
                continue  # torn by a full disk
            entries.pop((entry.kind, entry.git_dir), None)
            entries[entry.kind, entry.git_dir] = entry
        return list(entries.values())

    def clear_set_aside(self, job: Job | None = None) -> int:
        """Forget what was given up (or only ``job``) and say how many entries went."""
        entries = self.set_aside()
        kept = [e for e in entries if job and (e.kind, e.git_dir) != (job.kind, job.git_dir)]
        if len(kept) < len(entries):
            _write(self._aside, "".join(f"{json.dumps(asdict(e))}\n" for e in kept).encode())
        return len(entries) - len(kept)

    # -- what the worker uses, under its lock --------------------------------------------

    def collect(self) -> Collected:
        """Claim new events and add their jobs to the queue."""
        names = [int(path.name.partition("-")[2]) for path in self._claimed()]
        if self._events.is_file():
            # Never a number that was used before: `merged` may still tell of that file.
            number = max(time.time_ns(), *(n + 1 for n in names), 0)
            self._events.rename(self._folder / f"claimed-{number}")
        state = self._load()
        files = {path.name: _read_from(path, 0) for path in self._claimed()}
        merged = {name: len(data) for name, data in files.items()}
        if merged == state.merged:
            return Collected()
        unread = b"".join(data[state.merged.get(name, 0) :] for name, data in files.items())
        events, bad = decode_all(_last_lines(unread, MAX_EVENTS), self._common_dir)
        queued = {entry.job: entry for entry in state.jobs}
        jobs = merge(queued, plan(events, self._common_dir))
        self._save(_State(tuple(queued.get(job, QueuedJob(job)) for job in jobs), merged))
        return Collected(len(events), bad)

    def settle(self) -> bool:
        """Delete claimed files that are fully read; ``False`` when one has grown meanwhile."""
        merged = self._load().merged
        for path in self._claimed():
            age = time.time() - int(path.name.partition("-")[2]) / 1e9
            if 0 <= age < TAIL_GRACE_S:
                time.sleep(TAIL_GRACE_S - age)
            if path.stat().st_size != merged.get(path.name):
                return False
            path.unlink()
        return True

    def start(self, job: Job) -> None:
        """Count the attempt before it is made: a job may take the worker down with it."""
        state = self._load()
        jobs = (  # a mark that a killed worker left behind goes, too
            replace(entry, attempts=entry.attempts + 1, running_since=time.time())
            if entry.job == job
            else replace(entry, running_since=None)
            for entry in state.jobs
        )
        self._save(replace(state, jobs=tuple(jobs)))

    def finish(self, job: Job) -> None:
        """Take a done job off the queue, and off the list of those given up."""
        self._update(job, lambda _: None)
        self.clear_set_aside(job)

    def fail(self, job: Job, error: str) -> None:
        """Leave a job queued for another attempt."""
        self._update(job, lambda entry: replace(entry, error=error, running_since=None))

    def interrupt(self, job: Job) -> None:
        """The attempt was stopped from outside and does not count."""
        self._update(
            job, lambda entry: replace(entry, attempts=entry.attempts - 1, running_since=None)
        )

    def give_up(self, entry: QueuedJob, error: str) -> None:
        """Set a job aside, so that it no longer stands in the way of the others."""
        kind, git_dir = entry.job.kind, entry.job.git_dir
        given_up = SetAside(kind, git_dir, entry.attempts, error, time.time())
        kept = [e for e in self.set_aside() if (e.kind, e.git_dir) != (kind, git_dir)]
        lines = [f"{json.dumps(asdict(e))}\n" for e in (*kept, given_up)]
        _write(self._aside, "".join(lines).encode())
        self._update(entry.job, lambda _: None)

    # -- files ---------------------------------------------------------------------------

    def _claimed(self) -> list[Path]:
        """The claimed files, oldest first."""
        found = [p for p in self._folder.glob("claimed-*") if p.name[8:].isdigit()]
        return sorted(found, key=lambda path: int(path.name[8:]))

    def _update(self, job: Job, change: Callable[[QueuedJob], QueuedJob | None]) -> None:
        state = self._load()
        changed = (change(entry) if entry.job == job else entry for entry in state.jobs)
        self._save(replace(state, jobs=tuple(entry for entry in changed if entry is not None)))

    def _load(self) -> _State:
        """The queue; empty when the file is missing or damaged (hints may be lost)."""
        try:
            data = json.loads(self._jobs.read_bytes())
            jobs = tuple(_queued(entry) for entry in data["jobs"])
            merged = {str(name): int(size) for name, size in data["merged"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return _State()
        return _State(jobs, merged)

    def _save(self, state: _State) -> None:
        jobs = [{**asdict(entry), **asdict(entry.job)} for entry in state.jobs]
        for entry in jobs:
            del entry["job"]
        _write(self._jobs, json.dumps({"jobs": jobs, "merged": state.merged}).encode())


def _queued(entry: dict[str, Any]) -> QueuedJob:
    if entry["kind"] not in JOB_KINDS:
        raise ValueError(entry["kind"])
    return QueuedJob(
        Job(entry["kind"], str(entry["git_dir"])),
        int(entry["attempts"]),
        str(entry["error"]),
        entry["running_since"],
    )


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except OSError:
        return b""


def _last_lines(data: bytes, count: int) -> bytes:
    return b"".join(data.splitlines(keepends=True)[-count:])


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.replace(path)
