"""Splits the corpus by time: the newest holes are held out, older ones are trained on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Hole

T = TypeVar("T")
# With fewer, the effect of training cannot be told from chance.
MIN_TRAIN, MIN_HELD_OUT = 20, 5
HELD_OUT_SHARE = 5  # one in five
HELD_OUT_HOLES = 200
# With fewer nothing can be decided: a difference of 4 points needs about 500 holes to show.
MIN_HOLES, MIN_COMMITS = 20, 5


@dataclass(frozen=True, slots=True)
class Split:
    """Holes to train on and to evaluate on, newest commits first. Every commit is on one side, and
    no commit of ``train`` comes after one of ``held_out`` in the history."""

    train: tuple[Hole, ...]
    held_out: tuple[Hole, ...]


def commit_span(holes: Sequence[Hole]) -> list[str]:
    """``[oldest, newest]`` commit of holes that are newest first; empty without holes."""
    return [holes[-1].commit, holes[0].commit] if holes else []


def split_holes(
    holes: Sequence[Hole],
    *,
    commits: int,
    max_train: int,
    max_held_out: int,
    exact: bool = False,
    force: bool = False,
) -> Split:
    """Hold out the newest fifth, at most ``max_held_out`` holes, and train on the newest
    ``max_train`` of the others.

    Where there are few, more than a fifth is held out, up to the number that a promotion needs.
    Commits take turns, because the holes of one commit are alike.

    :param holes: newest commits first.
    :param commits: the number of commits searched, for the message.
    :param exact: hold out ``max_held_out`` holes rather than a fifth.
    :param force: accept one hole on each side.
    :raises CopilotError: there are too few holes.
    """
    least_train, least_held_out = (1, 1) if force else (MIN_TRAIN, MIN_HELD_OUT)
    if len(holes) < least_train + least_held_out:
        raise CopilotError(
            f"{commits} commits give only {len(holes)} holes; "
            f"at least {least_train + least_held_out} are needed",
            "commit more code"
            if force
            else "commit more code, or look at more history with"
            " `git config copilot.historyCommits`",
        )
    usable = min(len(holes), max_train + max_held_out)
    share = max_held_out if exact else max(usable // HELD_OUT_SHARE, MIN_HOLES)
    most = len(holes) - least_train if exact else max(len(holes) // 2, least_held_out)
    target = min(share, max_held_out, most)
    newest = _newest_commits(holes, target, len(holes) - least_train)
    seen = sum(map(len, newest))
    return Split(tuple(holes[seen : seen + max_train]), tuple(round_robin(newest, target)))


def _newest_commits(holes: Sequence[Hole], target: int, most: int) -> list[list[Hole]]:
    """Whole commits from the newest on, until there are ``target`` holes of at least
    :data:`MIN_COMMITS` commits; at most ``most`` holes, but at least one commit."""
    groups: list[list[Hole]] = []
    by_commit: dict[str, list[Hole]] = {}
    for hole in holes:
        by_commit.setdefault(hole.commit, []).append(hole)
    taken = 0
    for group in by_commit.values():
        if taken >= target and len(groups) >= MIN_COMMITS:
            break
        if groups and taken + len(group) > most:
            break
        groups.append(group)
        taken += len(group)
    return groups


def in_turn(groups: Iterable[Sequence[T]]) -> list[T]:
    """The first of each group, then the second of each, and on."""
    return [item for row in zip_longest(*groups) for item in row if item is not None]


def round_robin(groups: Sequence[Sequence[Hole]], count: int) -> list[Hole]:
    """``count`` holes, one of each commit in turn, in their order."""
    chosen = {id(hole) for hole in in_turn(groups)[:count]}
    return [hole for group in groups for hole in group if id(hole) in chosen]
