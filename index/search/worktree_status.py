"""Runs ``git status`` in the background of a query to find files that differ from HEAD.

git runs for every query, so the answer is current. Only where git is slow, it runs less often while
the user types.
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

# If git takes longer than this (20,000 files take 40 ms), not every keystroke starts it: it then
# gets at most this share of the time.
QUICK_SECONDS, SHARE = 0.05, 0.1
# git may block on a file that is a pipe, or on a disk that does not respond.
LONGEST_SECONDS = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorktreeDifference:
    """Differences from HEAD. ``began`` is when git was started, in seconds since 1970; ``paths``
    are to be read from the worktree, ``hidden`` must not be shown at all. ``failed``: git reported
    an error (a damaged index, say)."""

    began: float
    paths: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    failed: bool = False


UNKNOWN = WorktreeDifference(float("-inf"))


def with_deadline(repo: GitRepository, seconds: float, ask: Callable[[GitRepository], T]) -> T:
    """Call ``ask`` and kill its git processes after ``seconds``.

    :raises GitError: from ``ask``, or git did not answer in time.
    """
    twin, running = repo.killable()
    timer = threading.Timer(seconds, running.kill_all)
    timer.start()
    try:
        return ask(twin)
    except GitError as exc:
        if timer.is_alive():
            raise
        told = f"git status did not finish within {seconds:g} s"
        raise GitError(told, "run `git status` to see why") from exc
    finally:
        timer.cancel()


def uncommitted_paths_in_time(repo: GitRepository) -> list[str]:
    """:func:`uncommitted_paths` with a time limit.

    :raises GitError: from there, or it takes longer than :data:`LONGEST_SECONDS`.
    """
    return with_deadline(repo, LONGEST_SECONDS, uncommitted_paths)


def uncommitted_paths(repo: GitRepository) -> list[str]:
    """Paths of a worktree that differ from HEAD (changed, added or deleted), then untracked ones
    that are not ignored, each sorted. Nothing is written, not even git's own index.

    :raises GitError: there is no worktree, or its index is damaged.
    """
    raw = repo.run(
        "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all",
        "--ignore-submodules=all",
    )  # fmt: skip
    entries = [(e[:2] == b"??", os.fsdecode(e[3:])) for e in raw.split(b"\0") if e]
    return [path for _, path in sorted(entries)]


def changed_among(repo: GitRepository, paths: Iterable[str]) -> set[str]:
    """Those of the committed ``paths`` that git considers changed or deleted. Takes a fraction of
    the time for the whole worktree; may include files that were only touched.

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
    """Runs ``git status`` for one worktree. Not thread-safe."""

    def __init__(self, repo: GitRepository) -> None:
        # git may block forever, on a pipe or on a disk that does not respond.
        self._repo, self._running = repo.killable()
        self._rules = UncommittedRules(self._repo)
        self._pool: ThreadPoolExecutor | None = None
        self._asked: Future[WorktreeDifference] | None = None
        self._asked_at = float("-inf")
        self._seconds = 0.0
        self._of_now = False
        self._known = UNKNOWN

    def start(self, *, typing: bool = False) -> None:
        """Start git without waiting for it.

        :param typing: whether the query is one of many in a row.
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
        """The latest result, and whether it belongs to the last :meth:`start`.

        :param patience: seconds to wait for that.
        """
        if self._asked is not None:
            try:
                # Do not wait for an outdated result.
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
            found = WorktreeDifference(began, failed=True)  # committed files are still searched
        self._seconds = time.monotonic() - clock
        return found

    def close(self) -> None:
        """Wait for no answer any more."""
        self._running.kill_all()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
