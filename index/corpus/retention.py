"""How many accepted characters stand in the next commit of their file, and 30 days later.

The worker computes both when it mines commits. A row keeps its own figures, the daily counts their
sums: of the characters whose fate is known, and of those that were retained.
"""

from __future__ import annotations

import sqlite3
import time

from git_copilot.index.corpus import feedback_days
from git_copilot.index.corpus.feedback_days import DAY_SECONDS
from git_copilot.index.store.database import Database

AGE_SECONDS = 30 * DAY_SECONDS
_DUE = (
    " FROM feedback f JOIN holes h ON h.id = f.hole_id JOIN commits c ON c.oid = h.commit_oid"
    " WHERE f.kept IS NULL AND f.taken > 0 AND f.committed IS NOT NULL AND c.time <= ?"
)


def settle(
    connection: sqlite3.Connection, name: str, taken: int, committed: int, *, last: bool
) -> None:
    """Note how many accepted characters of a completion are in a commit of its file.

    :param taken: the number of accepted characters that the commit was compared with; if another
        report has changed it since, nothing is noted.
    :param last: no other commit is searched for the completion. What none has is lost for good.
    """
    row = connection.execute(
        "SELECT time, model, adapter, language, taken, committed, kept FROM feedback WHERE id = ?",
        (name,),
    ).fetchone()
    if row is None or row[4] != taken:
        return
    when, model, adapter, language, _, before, kept = row
    lost = last and committed == 0 and kept is None
    feedback_days.add(
        connection,
        (when // DAY_SECONDS, model, adapter, language),
        {
            "chars_settled": taken if before is None else 0,
            "chars_committed": committed - (before or 0),
            "chars_aged": taken if lost else 0,
        },
    )
    connection.execute(
        "UPDATE feedback SET committed = ?, kept = ? WHERE id = ?",
        (committed, 0 if lost else kept, name),
    )


def settle_expired(connection: sqlite3.Connection, before: int) -> None:
    """Count the characters of completions that no commit has had, shown before a time, as lost.
    Their rows are about to be deleted."""
    expired = "hole_id IS NULL AND kept IS NULL AND committed = 0 AND taken > 0 AND time < ?"
    rows = connection.execute(
        "SELECT time / ?, model, adapter, language, sum(taken) FROM feedback"
        f" WHERE {expired} GROUP BY 1, 2, 3, 4",
        (DAY_SECONDS, before),
    ).fetchall()
    for *key, taken in rows:
        feedback_days.add(connection, (key[0], key[1], key[2], key[3]), {"chars_aged": taken})
    connection.execute(f"UPDATE feedback SET kept = 0 WHERE {expired}", (before,))


def is_due(db: Database, now: int | None = None) -> bool:
    """Whether 30 days have passed since a commit with accepted characters."""
    limit = (int(time.time()) if now is None else now) - AGE_SECONDS
    return bool(db.query(f"SELECT 1{_DUE} LIMIT 1", (limit,)))


def update_kept(db: Database, now: int | None = None) -> int:
    """Note which accepted characters were still there 30 days after their commit, by the survival
    of the lines (survival.py, up to date). A line that was changed counts as lost. Of lines lost
    within 30 days the rest is counted as it is now, so a late look may find less, never more.

    :return: the number of completions.
    """
    limit = (int(time.time()) if now is None else now) - AGE_SECONDS
    with db.transaction() as connection:
        rows = connection.execute(
            "SELECT f.id, f.time / ?, f.model, f.adapter, f.language, f.taken, f.committed, c.time,"
            " s.stands, s.died_time"
            f"{_DUE.replace(' WHERE', ' JOIN survival s ON s.hole_id = h.id WHERE')}",
            (DAY_SECONDS, limit),
        ).fetchall()
        for name, day, model, adapter, language, taken, committed, begun, stands, died in rows:
            early = died is not None and died - begun <= AGE_SECONDS
            kept = round(committed * stands) if early else committed
            connection.execute("UPDATE feedback SET kept = ? WHERE id = ?", (kept, name))
            key = day, model, adapter, language
            feedback_days.add(connection, key, {"chars_aged": taken, "chars_kept": kept})
    return len(rows)
