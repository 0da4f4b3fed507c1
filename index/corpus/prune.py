"""Takes commits out of the corpus that history lost: rebased, amended, filtered, deleted.

A commit goes as soon as nothing reaches it, not only when its objects are gone: `git gc` leaves
no trace that would say when to look again, and what was amended away should not be learnt from.
Should it come back, it is mined again.
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
    """Where history begins (every ref, every worktree's HEAD) and where it was cut off."""

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
    """Remove the commits that no ref and no worktree's HEAD reaches any more; holes go with them.

    Costs one look at the refs when none moved, and a walk over what is new when they moved
    forward. Nothing is removed when git cannot read a ref, as with an alternate that is not
    there. Commits beyond the cut of a shallow clone stay while they can be read.

    :return: how many commits were removed.
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
        # Read before git is asked: what is mined meanwhile is not taken for lost.
        known = {str(oid) for (oid,) in db.query("SELECT oid FROM commits")}
        reachable = _list(repo, "--all")
        if reachable is None:
            return 0
        lost = known.difference(reachable)
        left = repo.blob_sizes(lost).keys() & lost if roots.cuts else set()
        lost -= left
    with db.transaction() as connection:
        connection.executemany("DELETE FROM commits WHERE oid = ?", [(oid,) for oid in lost])
        # What is left may go any time: then the next call looks again.
        if left:
            connection.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
        else:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, roots.dump()))
    return len(lost)


def _list(repo: GitRepository, *args: str) -> list[str] | None:
    """The commits that ``git rev-list`` lists; ``None`` when it has anything to complain of."""
    code, out, message = repo.try_run("rev-list", *args)
    return None if code or message else out.decode().split()


def _moved_forward(repo: GitRepository, before: _Roots, now: _Roots) -> bool:
    """Whether all that was reached before is reached now."""
    gone: Collection[str] = before.tips - now.tips
    if not gone:
        return True
    feed = "\n".join([*gone, *(f"^{tip}" for tip in now.tips), ""])
    code, out, _ = repo.try_run("rev-list", "--max-count=1", "--stdin", stdin=feed.encode())
    return code == 0 and not out
