"""Determines whether the text of holes survives at HEAD, when it was deleted, and its weight.

Everything is computed from history, in one pass over the differences of HEAD's commits
(lineage.py). If HEAD only moved forward, the pass starts where the last one ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from git_copilot.index.core.types import Hole, Progress, no_progress
from git_copilot.index.corpus.lineage import HoleRemains, LineDeletion
from git_copilot.index.corpus.mining import DEFAULT_HISTORY
from git_copilot.index.corpus.trace import trace
from git_copilot.index.git.history import CommitInfo, list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database

_HEAD_KEY, _SCOPE_KEY = "survival_head", "survival_scope"

DAY = 86_400
# Reverted at once: a mistake, or unfinished code.
SOON_DAYS = 7
# Rewritten while it was new: equally likely unfinished or wrong.
EARLY_DAYS = 90
STANDS, TAKEN_BACK, REWRITTEN_EARLY, REWRITTEN_LATE = 1.0, 0.0, 0.5, 0.8


@dataclass(frozen=True, slots=True)
class Survival:
    """The survival of a hole's lines: ``stands`` is the share of them in HEAD's tree.

    ``died_commit`` removed the first of them, at ``died_time`` (author time, in seconds since
    1970); ``None`` while all survive."""

    stands: float
    died_commit: str | None
    died_time: int | None


def weight(hole: Hole, survival: Survival | None) -> tuple[float, str]:
    """The training weight of an example, 0 to 1 (0: left out), and a short reason.

    Surviving lines count fully, independently of the others. Lines that were removed within a week
    were a mistake; lines that lasted for more than a season were good at the time, even if their
    whole file was deleted in the end.
    """
    if survival is None or (survival.stands < 1 and survival.died_time is None):
        return STANDS, "not determined yet"
    if survival.stands >= 1 or survival.died_time is None:
        return STANDS, "stands at HEAD"
    # Clocks differ: a commit may seem older than what it changed.
    days = max(0, survival.died_time - hole.time) // DAY
    if days < SOON_DAYS:
        value, verb = TAKEN_BACK, "reverted"
    elif days < EARLY_DAYS:
        value, verb = REWRITTEN_EARLY, "rewritten"
    else:
        value, verb = REWRITTEN_LATE, "rewritten"
    why = f"{verb} after {days} day{'' if days == 1 else 's'} by {(survival.died_commit or '')[:8]}"
    if survival.stands > 0:
        why = f"{survival.stands:.0%} stands at HEAD, the rest {why}"
    return survival.stands * STANDS + (1 - survival.stands) * value, why


def load_survival(db: Database, hole_ids: Sequence[int]) -> dict[int, Survival]:
    """The known survival of holes, by id."""
    rows = db.query(
        "SELECT hole_id, stands, died_commit, died_time FROM survival"
        " WHERE hole_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(hole_ids)),),
    )
    found = {}
    for hole, stands, commit, time in rows:
        share = float(str(stands))
        # Lines that a side branch removed but a merge kept were not deleted.
        died = commit is not None and share < 1
        found[int(str(hole))] = Survival(
            share, str(commit) if died else None, int(str(time)) if died else None
        )
    return found


def update_survival(
    repo: GitRepository,
    db: Database,
    *,
    limit: int = DEFAULT_HISTORY,
    progress: Progress = no_progress,
) -> bool:
    """Update the table ``survival`` to HEAD; ``False`` if it is up to date.

    Holes get no row if their commit is not among the newest ``limit`` (0: all) of HEAD's history,
    or if git cannot compare their lines (missing objects, binary files). If HEAD moved forward,
    tracking continues from the last state. Everything is written in one transaction.

    :raises GitError: git cannot read HEAD's history.
    """
    tip = repo.head_commit()
    if tip is None:
        return False
    limit = limit or sys.maxsize
    level = _SurvivalState.load(db)
    holes = db.scalar("SELECT count(*) FROM holes")
    if level.head == tip and limit <= level.limit and _unknown(db) <= level.unknown:
        return False
    new = _since(repo, db, level, tip) if limit <= level.limit else None
    if new is not None and level.head is not None:
        before = _load_remains(db)
        after = trace(repo, db, new, (level.head, before), progress)
        gone = [hole for hole in before if hole not in after]
        changed = {hole: rest for hole, rest in after.items() if before.get(hole) != rest}
        _store(db, changed, gone, _SurvivalState(tip, level.limit, holes))
    else:
        remains = trace(repo, db, _from_first_hole(repo, db, tip, limit), None, progress)
        _store(db, remains, None, _SurvivalState(tip, limit, holes))
    return True


@dataclass(frozen=True, slots=True)
class _SurvivalState:
    """The commits that the table covers: the newest ``limit`` of ``head``. ``unknown`` is the
    number of holes without a row; if there are more now, holes were added since."""

    head: str | None
    limit: int
    unknown: int

    @classmethod
    def load(cls, db: Database) -> _SurvivalState:
        sql = "SELECT key, value FROM meta WHERE key IN (?, ?)"
        found = {str(key): str(value) for key, value in db.query(sql, (_HEAD_KEY, _SCOPE_KEY))}
        limit, unknown = (int(part) for part in found.get(_SCOPE_KEY, "0 0").split())
        return cls(found.get(_HEAD_KEY), limit, unknown)


def _unknown(db: Database) -> int:
    return db.scalar("SELECT (SELECT count(*) FROM holes) - (SELECT count(*) FROM survival)")


def _from_first_hole(repo: GitRepository, db: Database, tip: str, limit: int) -> list[CommitInfo]:
    """HEAD's history, oldest first, starting at the first commit with a hole."""
    holding = {str(oid) for (oid,) in db.query("SELECT DISTINCT commit_oid FROM holes")}
    commits = list_commits(repo, tip, limit=limit if limit < sys.maxsize else 0)[::-1]
    first = next((i for i, c in enumerate(commits) if c.oid in holding), len(commits))
    return commits[first:]


def _since(
    repo: GitRepository, db: Database, level: _SurvivalState, tip: str
) -> list[CommitInfo] | None:
    """The commits since ``level``, oldest first; ``None`` if tracking cannot continue from
    there."""
    if level.head is None or not repo.has_object(level.head):
        return None
    commits = list_commits(repo, tip, exclude=[level.head])[::-1]
    parents = {parent for commit in commits for parent in commit.parents}
    if parents - {commit.oid for commit in commits} != {level.head}:
        return None  # HEAD moved back, or merged a branch that forked earlier
    come = db.scalar(
        "SELECT count(*) FROM holes WHERE commit_oid IN (SELECT value FROM json_each(?))",
        (json.dumps([commit.oid for commit in commits]),),
    )
    return commits if _unknown(db) - come <= level.unknown else None


def _load_remains(db: Database) -> dict[int, HoleRemains]:
    """The remains of the holes that survive, in whole or in part."""
    remains = {}
    for hole, home, commit, time, places in db.query(
        "SELECT s.hole_id, h.commit_oid, s.died_commit, s.died_time, s.places"
        " FROM survival s JOIN holes h ON h.id = s.hole_id WHERE s.stands > 0"
    ):
        death = None if commit is None else LineDeletion(int(str(time)), str(commit))
        remains[int(str(hole))] = HoleRemains(str(home), json.loads(str(places)), death)
    return remains


def _store(
    db: Database,
    remains: Mapping[int, HoleRemains],
    gone: Sequence[int] | None,
    level: _SurvivalState,
) -> None:
    """Write remains and delete those of ``gone`` (``None``: all that are not in ``remains``).

    ``level.unknown`` is the number of holes at the start of the pass. Holes that were deleted since
    are ignored, even if their id was reused.
    """
    rows = [
        (
            rest.stands,
            rest.deletion and rest.deletion.commit,
            rest.deletion and rest.deletion.time,
            json.dumps(rest.places),
            hole,
            rest.commit,
        )
        for hole, rest in remains.items()
    ]
    with db.transaction() as connection:
        if gone is None:
            connection.execute("DELETE FROM survival")
        else:
            connection.executemany("DELETE FROM survival WHERE hole_id = ?", [(h,) for h in gone])
        connection.executemany(
            "INSERT OR REPLACE INTO survival (hole_id, stands, died_commit, died_time, places)"
            " SELECT id, ?, ?, ?, ? FROM holes WHERE id = ? AND commit_oid = ?",
            rows,
        )
        (known,) = connection.execute("SELECT count(*) FROM survival").fetchone()
        (holes,) = connection.execute("SELECT count(*) FROM holes").fetchone()
        unknown = min(holes, level.unknown) - known
        connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(_HEAD_KEY, level.head), (_SCOPE_KEY, f"{level.limit} {unknown}")],
        )
