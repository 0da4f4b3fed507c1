"""Asks git which files of a worktree differ from HEAD, beside what else a query does.

git is asked anew for every query, so that an answer is of the moment of the question. Only where
that takes long is it asked less often while somebody types.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import TypeVar

from git_copilot.index.core.errors import GitError
from git_copilot.index.filters.uncommitted_rules import UncommittedRules
from git_copilot.index.git.repository import GitRepository

# Where git takes longer than this (20,000 files take 40 ms), keys in a row do not each start it:
# it then gets at most this share of the time.
QUICK_SECONDS, SHARE = 0.05, 0.1
# A file that git reads may be a pipe, or lie on a disk that is gone.
LONGEST_SECONDS = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorktreeDifference:
    """What differed from HEAD. ``began`` is when git was asked, in seconds since 1970;
    ``paths`` are to be read from the worktree, ``hidden`` are not to be shown at all. ``failed``:
    git cannot tell (its index is damaged, say)."""

    began: float
    paths: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    failed: bool = False


UNKNOWN = WorktreeDifference(float("-inf"))


def with_deadline(repo: GitRepository, seconds: float, ask: Callable[[GitRepository], T]) -> T:
    """What ``ask`` gets from git; its processes are ended after ``seconds``.

    :raises GitError: as ``ask`` does, or git did not answer in time.
    """
    twin, running = repo.killable()
    timer = threading.Timer(seconds, running.kill_all)
    timer.start()
    try:
        return ask(twin)
    except GitError as exc:
        if timer.is_alive():
            raise
        told = f"git status does not answer within {seconds:g} s"
        raise GitError(told, "run it by hand to see why") from exc
    finally:
        timer.cancel()


def uncommitted_paths_in_time(repo: GitRepository) -> list[str]:
    """:func:`uncommitted_paths` for who has nothing to say without.

    :raises GitError: as there, or it takes longer than :data:`LONGEST_SECONDS`.
    """
    return with_deadline(repo, LONGEST_SECONDS, uncommitted_paths)


def uncommitted_paths(repo: GitRepository) -> list[str]:
    """Paths of a worktree that differ from HEAD (changed, added or gone), then new ones that are
    not ignored, each part in order. Nothing is written, not even git's own index.

    :raises GitError: there is no worktree, or its index is damaged.
    """
    raw = repo.run(
        "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all",
        "--ignore-submodules=all",
    )  # fmt: skip
    entries = [(e[:2] == b"??", os.fsdecode(e[3:])) for e in raw.split(b"\0") if e]
    return [path for _, path in sorted(entries)]


def changed_among(repo: GitRepository, paths: Iterable[str]) -> set[str]:
    """Those of some committed paths whose files are changed or gone, as git sees it. Takes a
    fraction of the time that the whole worktree does; a file that was only touched may be named.

    :raises GitError: there is no worktree, or its index is damaged.
    """
    wanted = list(paths)
    if not wanted:
        return set()
    raw = repo.run(
        "--literal-pathspecs", "diff-index", "--name-only", "-z", "--no-renames",
        "--ignore-submodules=all", repo.head_tree_or_empty(), "--", *wanted,
    )  # fmt: skip
    return {os.fsdecode(path) for path in raw.split(b"\0") if path}


class StatusQuery:
    """Asks about one worktree. Belongs to one thread at a time."""

    def __init__(self, repo: GitRepository) -> None:
        # git may never answer, where a file that it reads is a pipe or a disk that is gone.
        self._repo, self._running = repo.killable()
        self._rules = UncommittedRules(self._repo)
        self._pool: ThreadPoolExecutor | None = None
        self._asked: Future[WorktreeDifference] | None = None
        self._asked_at = float("-inf")
        self._seconds = 0.0
        self._of_now = False
        self._known = UNKNOWN

    def start(self, *, typing: bool = False) -> None:
        """Start asking, without waiting for the answer.

        :param typing: the query is one of many in a row.
        """
        now = time.monotonic()
        running = self._asked is not None and not self._asked.done()
        slow = self._seconds > QUICK_SECONDS and now - self._asked_at < self._seconds / SHARE
        if typing and (running or slow):
            self._of_now = False
            return
        self._pool = self._pool or ThreadPoolExecutor(1, "worktree")
        self._asked_at, self._of_now = now, True
        self._asked = self._pool.submit(self._differing)

    def result(self, patience: float) -> tuple[WorktreeDifference, bool]:
        """What git said last, and whether that is the answer to what was asked last.

        :param patience: seconds to wait for that.
        """
        if self._asked is not None:
            try:
                # What is no answer to this question is not waited for.
                self._known = self._asked.result(patience if self._of_now else 0)
                self._asked = None
            except NotYet:
                return self._known, False
        return self._known, self._of_now and not self._known.failed

    def _differing(self) -> WorktreeDifference:
        began, clock = time.time(), time.monotonic()
        try:
            paths = uncommitted_paths(self._repo)
            seen, hidden = self._rules.select(paths)
            found = WorktreeDifference(began, tuple(seen), hidden)
        except GitError:
            found = WorktreeDifference(
                began, failed=True
            )  # what is committed is searched all the same
        self._seconds = time.monotonic() - clock
        return found

    def close(self) -> None:
        """Wait for no answer any more."""
        self._running.kill_all()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
