"""What a refresh is doing now, for ``git copilot status`` in another process.

Each process that trains, or waits to train, keeps a small file beside the adapters and removes it
at its end. A file whose process is gone says nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.index.core.files import write_atomically
from git_copilot.index.core.types import Progress

PREFIX, SUFFIX = ".activity-", ".json"
# Seconds between two writings of the same phase.
EVERY_SECONDS = 1.0
# Less work than this tells too little of the rest.
MIN_ESTIMATED_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Activity:
    """``done`` of ``total`` of a phase, such as ``training``, that began with ``first`` done.

    ``since`` is when the phase began and ``at`` when this was written, in seconds since the epoch;
    ``process_begun`` tells the process from a later one with its ``pid``. ``waits`` is why it does
    not go on, empty if it does.
    """

    pid: int
    process_begun: float
    phase: str = ""
    done: int = 0
    total: int = 0
    first: int = 0
    since: float = 0.0
    at: float = 0.0
    waits: str = ""

    @property
    def seconds_left(self) -> float | None:
        """About how long the rest of the phase takes; ``None`` where it cannot be told."""
        done, spent = self.done - self.first, self.at - self.since
        if done <= 0 or not self.total or spent < MIN_ESTIMATED_SECONDS:
            return None
        return spent / done * (self.total - self.done)


class ActivityRecord:
    """Writes what this process is doing. A state folder that cannot be written costs only that."""

    def __init__(self, state_dir: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = adapter_store.adapters_dir(state_dir), clock
        self._path = self._folder / f"{PREFIX}{os.getpid()}{SUFFIX}"
        self._now = Activity(os.getpid(), _process_begun(os.getpid()) or 0.0)
        self._written = 0.0

    def reporting(self, progress: Progress) -> Progress:
        """``progress`` that is recorded as well."""

        def report(label: str, done: int, total: int) -> None:
            self._progress(label, done, total)
            progress(label, done, total)

        return report

    def waits(self, reason: str) -> None:
        """Record why the work does not go on; empty: it does."""
        if reason != self._now.waits:
            # Time spent waiting says nothing of the speed.
            since, first = self._clock(), self._now.done
            self._now = replace(self._now, waits=reason, since=since, first=first)
            self._write()

    def close(self) -> None:
        """Nothing is done any more."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _progress(self, label: str, done: int, total: int) -> None:
        now = self._clock()
        known = self._now
        if label != known.phase or done < known.done:
            known = replace(known, phase=label, first=done, since=now)
        changed = known.phase != self._now.phase
        self._now = replace(known, done=done, total=total)
        if changed or now - self._written >= EVERY_SECONDS:
            self._write()

    def _write(self) -> None:
        self._written = self._clock()
        self._now = replace(self._now, at=self._written)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps(asdict(self._now)).encode(), durable=False)


@contextmanager
def record_activity(state_dir: Path) -> Iterator[ActivityRecord]:
    """A record for the time of a block; those of processes that were killed are removed."""
    _remove_dead(state_dir)
    record = ActivityRecord(state_dir)
    try:
        yield record
    finally:
        record.close()


def read_activity(state_dir: Path) -> Activity | None:
    """What a living process is doing: one that works before one that waits, else the newest."""
    found = []
    for path in adapter_store.adapters_dir(state_dir).glob(f"{PREFIX}*{SUFFIX}"):
        with suppress(OSError, ValueError, TypeError):
            each = Activity(**json.loads(path.read_text("utf-8")))
            if _process_begun(each.pid) == each.process_begun:
                found.append(each)
    return max(found, key=lambda each: (not each.waits, each.at), default=None)


def _remove_dead(state_dir: Path) -> None:
    """Remove the files of processes that were killed."""
    for path in adapter_store.adapters_dir(state_dir).glob(f"{PREFIX}*{SUFFIX}"):
        with suppress(OSError, ValueError):
            if _process_begun(int(path.name[len(PREFIX) : -len(SUFFIX)])) is None:
                path.unlink()


def _process_begun(pid: int) -> float | None:
    """When a process began, in seconds since the epoch; ``None`` if there is none."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, ValueError, OverflowError):
        return None
