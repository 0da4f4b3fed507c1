"""Removes commits from the corpus that are no longer in history: rebased, amended, filtered,
deleted.

A commit is removed as soon as it is unreachable, not when its objects are gone: `git gc` leaves no
trace that would tell when to check, and amended code should not be used for training. If the commit
comes back, it is mined again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from git_copilot.index.git.history import shallow_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database

_KEY = "pruned_refs"


@dataclass(frozen=True, slots=True)
class _Roots:
    """The tips of history (every ref, every worktree's HEAD) and its shallow boundaries."""

    tips: frozenset[str]
    cuts: frozenset[str]

    def dump(self) -> str:
        return json.dumps([sorted(self.tips), sorted(self.cuts)])

    @classmethod
    def load(cls, db: Database) -> _Roots | None:
        rows = db.query("SELECT value FROM meta WHERE key = ?", (_KEY,))
        if not rows:
            return None
        tips, cuts = json.loads(str(rows[0][0]))
        return cls(frozenset(tips), frozenset(cuts))


def prune_lost(repo: GitRepository, db: Database) -> int:
    """Remove commits that no ref and no worktree's HEAD reaches any more, with their holes.

    Costs one listing of refs if none moved, and a walk over new commits if they moved forward.
    Nothing is removed if git cannot read a ref, as with a missing alternate. Commits beyond a
    shallow boundary stay while they are readable.

    :return: the number of removed commits.
    """
    tips = _list(repo, "--no-walk=unsorted", "--all")
    if tips is None:
        return 0
    roots = _Roots(frozenset(tips), frozenset(shallow_commits(repo)))
    before = _Roots.load(db)
    if roots == before:
        return 0
    lost: set[str] = set()
    left: set[str] = set()
    if before is None or before.cuts != roots.cuts or not _moved_forward(repo, before, roots):
        # Read before git runs, so that commits mined meanwhile do not count as lost.
        known = {str(oid) for (oid,) in db.query("SELECT oid FROM commits")}
        reachable = _list(repo, "--all")
        if reachable is None:
            return 0
        lost = known.difference(reachable)
        left = repo.blob_sizes(lost).keys() & lost if roots.cuts else set()
        lost -= left
    with db.transaction() as connection:
        connection.executemany("DELETE FROM commits WHERE oid = ?", [(oid,) for oid in lost])
        # Unreachable but readable commits may vanish at any time: check again next time.
        if left:
            connection.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
        else:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, roots.dump()))
    return len(lost)


def _list(repo: GitRepository, *args: str) -> list[str] | None:
    """The commits that ``git rev-list`` lists; ``None`` if it reports any problem."""
    code, out, message = repo.try_run("rev-list", *args)
    return None if code or message else out.decode().split()


def _moved_forward(repo: GitRepository, before: _Roots, now: _Roots) -> bool:
    """Whether everything that was reachable before still is."""
    gone: Collection[str] = before.tips - now.tips
    if not gone:
        return True
    feed = "\n".join([*gone, *(f"^{tip}" for tip in now.tips), ""])
    code, out, _ = repo.try_run("rev-list", "--max-count=1", "--stdin", stdin=feed.encode())
    return code == 0 and not out
