"""File formats of the job queue and of the list of failed jobs. Pure.

``jobs.json``        the queue, and how far each claimed file of events has been merged into it
``set-aside.jsonl``  jobs that were given up, one per line

Worktree paths are relative to the repository, as in events, so the queue stays valid when the
repository is moved or copied. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from git_copilot.hooks.events import absolute, relative_to
from git_copilot.hooks.plan import JOB_KINDS, Job, merge

DIED = "the worker died while it ran"


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job with its history.

    ``attempts`` counts failures since the job was last requested. ``deaths`` counts workers that
    were killed while running it, until it succeeds; that may be its fault or not. Times are in
    seconds since 1970; ``queued`` is when it was first requested.
    """

    job: Job
    attempts: int = 0
    error: str = ""
    running_since: float | None = None
    deaths: int = 0
    queued: float = 0.0


@dataclass(frozen=True, slots=True)
class SetAside:
    """A job that was given up, with its error; ``time`` in seconds since 1970."""

    kind: str
    git_dir: str
    attempts: int
    error: str
    time: float


@dataclass(frozen=True, slots=True)
class QueueContents:
    """The content of ``jobs.json``. ``damaged``: the file exists but cannot be parsed."""

    jobs: tuple[QueuedJob, ...] = ()
    merged: dict[str, int] = field(default_factory=dict)
    damaged: bool = False


def dump_state(state: QueueContents, common_dir: str) -> bytes:
    """The text of ``jobs.json``."""
    jobs = [
        {
            "kind": entry.job.kind,
            "git_dir": relative_to(entry.job.git_dir, common_dir),
            "attempts": entry.attempts,
            "error": entry.error,
            "running_since": entry.running_since,
            "deaths": entry.deaths,
            "queued": entry.queued,
        }
        for entry in state.jobs
    ]
    return json.dumps({"jobs": jobs, "merged": state.merged}).encode()


def load_state(data: bytes, common_dir: str) -> QueueContents:
    """The inverse of :func:`dump_state`; other content is ``damaged``."""
    try:
        found = json.loads(data)
        jobs = tuple(_queued(entry, common_dir) for entry in found["jobs"])
        merged = {str(name): int(size) for name, size in found["merged"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return QueueContents(damaged=True)
    return QueueContents(jobs, merged)


def _queued(entry: dict[str, Any], common_dir: str) -> QueuedJob:
    if entry["kind"] not in JOB_KINDS:
        raise ValueError(entry["kind"])
    since = entry["running_since"]
    return QueuedJob(
        Job(entry["kind"], absolute(str(entry["git_dir"]), common_dir)),
        int(entry["attempts"]),
        str(entry["error"]),
        None if since is None else float(since),
        int(entry.get("deaths", 0)),
        float(entry.get("queued", 0.0)),
    )


def record_deaths(state: QueueContents) -> QueueContents:
    """``state`` after the death of a worker: the job that was running is no longer, and has one
    more death."""
    jobs = (
        entry
        if entry.running_since is None
        else replace(entry, running_since=None, deaths=entry.deaths + 1, error=DIED)
        for entry in state.jobs
    )
    return replace(state, jobs=tuple(jobs))


def enqueue(
    queued: Iterable[QueuedJob], wanted: Iterable[Job], now: float
) -> tuple[QueuedJob, ...]:
    """The queue after adding ``wanted``, in processing order. Re-queuing a job resets its attempts
    but keeps the rest of its history."""
    known = {entry.job: entry for entry in queued}
    for job in (wanted := tuple(wanted)):
        known[job] = replace(known[job], attempts=0) if job in known else QueuedJob(job, queued=now)
    return tuple(known[job] for job in merge(known, wanted))


def dump_set_aside(entries: Iterable[SetAside], common_dir: str) -> bytes:
    """The text of ``set-aside.jsonl``."""
    lines = (
        {
            "kind": entry.kind,
            "git_dir": relative_to(entry.git_dir, common_dir),
            "attempts": entry.attempts,
            "error": entry.error,
            "time": entry.time,
        }
        for entry in entries
    )
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def load_set_aside(text: str, common_dir: str) -> list[SetAside]:
    """The entries, oldest first, one per job; truncated lines are skipped."""
    entries: dict[tuple[str, str], SetAside] = {}
    for line in text.splitlines():
        try:
            entry = SetAside(**json.loads(line))
            entry = replace(entry, git_dir=absolute(entry.git_dir, common_dir))
        except (ValueError, TypeError):
            continue
        entries.pop((entry.kind, entry.git_dir), None)
        entries[entry.kind, entry.git_dir] = entry
    return list(entries.values())
