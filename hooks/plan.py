"""Plans jobs from events. Pure.

Events are hints that something changed, not instructions. Whatever happened in a worktree, one
``sync`` of it suffices, and one ``mine`` and one ``refresh`` check serve the whole repository.
Every kind of event leads to all three, because a conflicted merge that is concluded by hand fires
post-commit only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from git_copilot.hooks.events import Event

JobKind = Literal["sync", "mine", "refresh"]
JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of work. ``git_dir`` is a worktree's for ``sync``, otherwise the common one."""

    kind: JobKind
    git_dir: str


def plan(events: Iterable[Event], common_dir: str) -> tuple[Job, ...]:
    """The jobs for ``events``: the syncs in order of arrival, then mine, then refresh."""
    worktrees = dict.fromkeys(event.git_dir for event in events)
    if not worktrees:
        return ()
    syncs = (Job("sync", git_dir) for git_dir in worktrees)
    return (*syncs, Job("mine", common_dir), Job("refresh", common_dir))


def merge(queued: Iterable[Job], new: Iterable[Job]) -> tuple[Job, ...]:
    """One queue of both without duplicates, ordered by kind, then by arrival."""
    unique = dict.fromkeys((*queued, *new))
    return tuple(sorted(unique, key=lambda job: JOB_KINDS.index(job.kind)))
