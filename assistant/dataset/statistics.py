"""Statistics of the corpus: SQL aggregates, and the messages of commits that removed holes."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from git_copilot.index.corpus.mining import corpus_counts
from git_copilot.index.corpus.survival import Survival
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import stored_path
from git_copilot.index.text.classify import is_test

SECONDS_PER_DAY = 86400
STANDS, REWRITTEN, REVERTED, UNKNOWN = "stands", "rewritten", "reverted", "unknown"
FATES = (STANDS, REWRITTEN, REVERTED, UNKNOWN)
_REVERTS = re.compile(r"This reverts commit ([0-9a-f]{7,64})")


def corpus_figures(repo: GitRepository, db: Database) -> dict[str, Any]:
    """The object of ``corpus --json``: counts of commits, holes and authors; commits by status;
    files and holes left out by reason; holes by kind, language, author, month (UTC, newest
    first), code and tests, and fate. No blob is read."""
    return {
        **corpus_counts(db),
        "status": _grouped(db, "SELECT status, count(*) FROM commits GROUP BY 1"),
        "left_out": _grouped(db, "SELECT reason, sum(count) FROM left_out GROUP BY 1"),
        "kind": _grouped(db, "SELECT kind, count(*) FROM holes GROUP BY 1"),
        "language": _grouped(db, "SELECT language, count(*) FROM holes GROUP BY 1"),
        "author": _grouped(
            db,
            "SELECT c.author, count(*) FROM holes h JOIN commits c ON c.oid = h.commit_oid"
            " GROUP BY 1",
        ),
        "month": _months(db),
        "tests": _tests(db),
        "survival": _survival(repo, db),
    }


def _grouped(db: Database, sql: str) -> dict[str, int]:
    """Counts by name, the largest first."""
    return {str(n): int(str(c)) for n, c in db.query(f"{sql} ORDER BY 2 DESC, 1")}


def _months(db: Database) -> dict[str, int]:
    rows = db.query(
        "SELECT strftime('%Y-%m', c.time, 'unixepoch'), count(*)"
        " FROM holes h JOIN commits c ON c.oid = h.commit_oid GROUP BY 1 ORDER BY 1 DESC"
    )
    return {str(month): int(str(count)) for month, count in rows}


def _tests(db: Database) -> dict[str, int]:
    counts: Counter[bool] = Counter()
    for path, count in db.query("SELECT path, count(*) FROM holes GROUP BY 1"):
        counts[is_test(stored_path(path))] += int(str(count))
    return {"code": counts[False], "tests": counts[True]}


def _survival(repo: GitRepository, db: Database) -> dict[str, dict[str, Any]]:
    # A commit on a side branch may have removed lines that a merge kept: the hole still stands.
    rows = db.query(
        "SELECT h.commit_oid, c.time, s.stands,"
        " CASE WHEN s.stands < 1 THEN s.died_commit END,"
        " CASE WHEN s.stands < 1 THEN s.died_time END"
        " FROM holes h JOIN commits c ON c.oid = h.commit_oid"
        " LEFT JOIN survival s ON s.hole_id = h.id"
    )
    reverts = reverted_by(repo, {str(row[3]) for row in rows if row[3] is not None})
    lives: dict[str, list[float]] = {name: [] for name in FATES}
    for commit, time, stands, died, died_time in rows:
        survival = None
        if stands is not None:
            survival = Survival(float(str(stands)), str(died) if died is not None else None, None)
        days = (int(str(died_time or time)) - int(str(time))) / SECONDS_PER_DAY
        lives[fate(str(commit), survival, reverts)].append(max(0.0, days))
    return {name: _life(days, len(rows), name) for name, days in lives.items()}


def _life(days: Sequence[float], holes: int, name: str) -> dict[str, Any]:
    lived = statistics.median(days) if days and name in (REWRITTEN, REVERTED) else None
    return {
        "holes": len(days),
        "share": round(len(days) / holes, 4) if holes else 0.0,
        "median_days": round(lived, 1) if lived is not None else None,
    }


def fate(commit: str, survival: Survival | None, reverts: Mapping[str, Sequence[str]]) -> str:
    """The fate of a hole of ``commit``: ``"stands"`` while all its lines do, ``"reverted"`` when
    the message of the commit that removed the first one says that it reverts ``commit``,
    ``"rewritten"`` when it does not, ``"unknown"`` when the hole was not followed.

    :param reverts: the result of :func:`reverted_by`.
    """
    if survival is not None and survival.stands >= 1:
        return STANDS
    if survival is None or survival.died_commit is None:
        return UNKNOWN
    named = reverts.get(survival.died_commit, ())
    return REVERTED if any(commit.startswith(oid) for oid in named) else REWRITTEN


def reverted_by(repo: GitRepository, commits: Iterable[str]) -> dict[str, list[str]]:
    """The ``commits`` whose message says that they revert others, with the (perhaps abbreviated)
    ids of those. Missing commits are skipped."""
    feed = "".join(f"{oid}\n" for oid in commits).encode()
    if not feed:
        return {}
    out = repo.run(
        "log", "--no-walk=unsorted", "--ignore-missing", "--no-show-signature", "--encoding=UTF-8",
        "-z", "--format=%H%n%B", "--stdin", stdin=feed,
    )  # fmt: skip
    found = {}
    for record in out.decode("utf-8", "replace").split("\0"):
        oid, _, message = record.partition("\n")
        if named := _REVERTS.findall(message):
            found[oid] = named
    return found
