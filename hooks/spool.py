"""Events on their way from git to the worker, and jobs on their way to being done.

``spool/events``       appended to by every hook, one line each
``spool/claimed-<n>``  events that the worker has renamed away; read, then deleted
``spool/jobs.json``, ``spool/set-aside.jsonl``  see `queue`

Every step is one rename, one unlink or one append, so a kill between any two leaves a state
from which :meth:`Spool.collect` continues. Nothing is synced to the disk: after a power cut
the catch-up at query time does what a lost hint would have done. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from git_copilot.hooks.events import Event, decode_all, encode
from git_copilot.hooks.plan import Job, plan
from git_copilot.hooks.queue import (
    QueuedJob,
    SetAside,
    State,
    ask,
    bury,
    dump_set_aside,
    dump_state,
    load_set_aside,
    load_state,
)
from git_copilot.index.core.files import write_atomically

MAX_EVENTS = 10_000
MAX_BYTES = 1 << 20  # about twice MAX_EVENTS lines; shim.sh names the same bound

# A shim that opened ``events`` just before the rename writes to the claimed file. Claimed
# files are kept this long and looked at again before they are deleted.
TAIL_GRACE_S = 0.1
STALE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Collected:
    """How many new events were claimed, and how many could not be read (torn lines, a file that
    belongs to somebody else): for those every worktree is looked at."""

    events: int = 0
    malformed: int = 0


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
        half_written = (*self._folder.glob(".*"), *self._folder.parent.glob(".*.[0-9]*"))
        for path in half_written:
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
            write_atomically(self._events, kept, durable=False)

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
            text = self._aside.read_text("utf-8", "surrogateescape")
        except OSError:
            return []
        return load_set_aside(text, self._common_dir)

    def retry(self) -> int:
        """Ask for everything that was given up once more; how many jobs that were.

        They are reported until they succeed. Start a worker afterwards.

        :raises OSError: the spool cannot be written.
        """
        entries = self.set_aside()
        for git_dir in dict.fromkeys(entry.git_dir for entry in entries):
            self.append(Event("retry", git_dir))
        return len(entries)

    def waiting_since(self) -> float | None:
        """When the oldest of what waits came, in seconds since the epoch, as far as files tell."""
        times = [entry.queued for entry in self._load().jobs if entry.queued]
        with contextlib.suppress(OSError):
            # Its first event may be older: an append leaves no trace of the one before.
            times.append(self._events.stat().st_mtime)
        return min(times, default=None)

    def clear_set_aside(self, job: Job | None = None) -> int:
        """Forget what was given up (or only ``job``) and say how many entries went."""
        entries = self.set_aside()
        kept = [e for e in entries if job and (e.kind, e.git_dir) != (job.kind, job.git_dir)]
        if len(kept) < len(entries):
            write_atomically(self._aside, dump_set_aside(kept, self._common_dir), durable=False)
        return len(entries) - len(kept)

    # -- what the worker uses, under its lock --------------------------------------------

    def recover(self) -> None:
        """Take over from a worker that may have been killed. To be called once, first."""
        state = self._load()
        buried = bury(state)
        if state.damaged:
            buried = State(ask((), self._everything(), time.time()))
        if buried != state:
            self._save(buried)

    def collect(self) -> Collected:
        """Claim new events and add their jobs to the queue.

        What an earlier worker claimed and could not queue (a full disk) comes first; only then
        is more claimed, so that failing again and again piles up nothing.
        """
        state = self._load()
        files, lost = self._read_claimed()
        unread = any(len(data) != state.merged.get(name) for name, data in files.items())
        if not lost and not unread and self._events.is_file():
            # Never a number that was used before: `merged` may still tell of that file.
            numbers = (int(name.partition("-")[2]) + 1 for name in files)
            name = f"claimed-{max(time.time_ns(), *numbers, 0)}"
            self._events.rename(self._folder / name)
            files, lost = self._read_claimed()
        merged = _sizes(files)
        if merged == state.merged and not lost:
            return Collected()
        new = b"".join(data[state.merged.get(name, 0) :] for name, data in files.items())
        events, bad = decode_all(_last_lines(new, MAX_EVENTS), self._common_dir)
        jobs = plan(events, self._common_dir)
        if bad or lost:
            jobs = (*jobs, *self._everything())
        self._save(State(ask(state.jobs, jobs, time.time()), merged))
        return Collected(len(events), bad + lost)

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
        """Mark a job as running before it runs: it may take the worker down with it."""
        now = time.time()
        self._update(job, lambda entry: replace(entry, running_since=now))

    def finish(self, job: Job) -> None:
        """Take a done job off the queue, and off the list of those given up."""
        self._update(job, lambda _: None)
        self.clear_set_aside(job)

    def fail(self, job: Job, error: str) -> None:
        """Leave a job queued for another attempt."""
        self._update(
            job,
            lambda entry: replace(
                entry, attempts=entry.attempts + 1, error=error, running_since=None
            ),
        )

    def interrupt(self, job: Job) -> None:
        """The attempt was stopped from outside and does not count."""
        self._update(job, lambda entry: replace(entry, running_since=None))

    def give_up(self, entry: QueuedJob, error: str) -> None:
        """Set a job aside, so that it no longer stands in the way of the others."""
        kind, git_dir = entry.job.kind, entry.job.git_dir
        tries = entry.attempts + entry.deaths
        given_up = SetAside(kind, git_dir, tries, error, time.time())
        kept = [e for e in self.set_aside() if (e.kind, e.git_dir) != (kind, git_dir)]
        write_atomically(
            self._aside, dump_set_aside((*kept, given_up), self._common_dir), durable=False
        )
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

    def _load(self) -> State:
        try:
            data = self._jobs.read_bytes()
        except OSError:
            return State()
        return load_state(data, self._common_dir)

    def _save(self, state: State) -> None:
        write_atomically(self._jobs, dump_state(state, self._common_dir), durable=False)

    def _read_claimed(self) -> tuple[dict[str, bytes], int]:
        """The claimed files by name, and how many belong to somebody who lets nobody else read
        them (git was run as another user): those are deleted, since they cannot be used."""
        files, lost = {}, 0
        for path in self._claimed():
            try:
                files[path.name] = path.read_bytes()
            except PermissionError:
                path.unlink()
                lost += 1
        return files, lost

    def _everything(self) -> tuple[Job, ...]:
        """The jobs for when it is not known what happened: every worktree has moved."""
        linked = sorted((Path(self._common_dir) / "worktrees").glob("*/HEAD"))
        git_dirs = (self._common_dir, *(str(head.parent) for head in linked))
        return plan((Event("unknown", git_dir) for git_dir in git_dirs), self._common_dir)


def _sizes(files: dict[str, bytes]) -> dict[str, int]:
    return {name: len(data) for name, data in files.items()}


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except OSError:
        return b""


def _last_lines(data: bytes, count: int) -> bytes:
    return b"".join(data.splitlines(keepends=True)[-count:])
