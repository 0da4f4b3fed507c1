"""Pure: from what happened to what is to be done.

Events are hints that something moved, not instructions: whatever happened in a worktree, one
``sync`` of it is enough, and one ``mine`` and one ``refresh`` consideration serve the whole
repository. Every kind of event leads to all three, because a conflicted merge that is
concluded by hand fires post-commit only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from git_copilot.hooks.events import Event

JobKind = Literal["sync", "mine", "refresh"]
JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work. ``git_dir`` is a worktree's for ``sync``, else the common one."""

    kind: JobKind
    git_dir: str


def plan(events: Iterable[Event], common_dir: str) -> tuple[Job, ...]:
    """The jobs that ``events`` ask for: the syncs in order of arrival, then mine, then refresh."""
    worktrees = dict.fromkeys(event.git_dir for event in events)
    if not worktrees:
        return ()
    syncs = (Job("sync", git_dir) for git_dir in worktrees)
    return (*syncs, Job("mine", common_dir), Job("refresh", common_dir))


def merge(queued: Iterable[Job], new: Iterable[Job]) -> tuple[Job, ...]:
    """One queue of both, without repeats, each job in its kind's turn and first come first."""
    unique = dict.fromkeys((*queued, *new))
    return tuple(sorted(unique, key=lambda job: JOB_KINDS.index(job.kind)))
