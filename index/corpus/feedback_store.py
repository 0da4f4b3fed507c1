"""The feedback tables: completions that were shown, and their outcomes.

A row waits until a commit shows the final text (:mod:`git_copilot.index.corpus.feedback_holes`).
Daily counts are stored separately, so that deleting old rows does not distort them.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus.outcome import CursorContext
from git_copilot.index.store.database import Database

SHOWN = "shown"
OUTCOMES = ("accepted", "edited", "rejected")
# Limits on waiting rows, by outcome: 2,000 in total. Accepted completions are most informative.
MOST = {SHOWN: 400, "accepted": 800, "edited": 400, "rejected": 400}
KEEP_SECONDS = 30 * 86400
DAY_SECONDS = 86400
KEEP_DAYS = 400
FIGURE_DAYS = 30
# Longer lines are minified; nobody reads longer completions.
MAX_BEFORE = 2000
MAX_TEXT = 16 * 1024
# Training weights: the model learns most from completions that the user corrected.
KEPT_WEIGHT, CORRECTED_WEIGHT = 1.0, 1.5


@dataclass(frozen=True, slots=True)
class ShownCompletion:
    """A completion that was shown; ``path`` is relative to the repository, ``time`` in seconds
    since 1970."""

    id: str
    time: int
    path: str
    cursor: CursorContext
    completion: str
    model: str
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class ReportedCompletion:
    """A completion with its outcome and, once a commit has resolved it, its hole and commit."""

    shown: ShownCompletion
    outcome: str
    final: str | None
    tries: int
    hole_id: int | None
    commit: str | None


def is_worth_keeping(shown: ShownCompletion) -> bool:
    """Whether a completion is informative: it has text, and its line is hand-written."""
    texts = (shown.completion, shown.cursor.after)
    return (
        bool(shown.completion.strip())
        and len(shown.cursor.before) <= MAX_BEFORE
        and max(map(len, texts)) <= MAX_TEXT
    )


def record_shown(db: Database, shown: ShownCompletion) -> bool:
    """Record that a completion was shown; showing it again is not counted again.

    :return: whether it was new.
    """
    cursor = shown.cursor
    row = (
        _clean(shown.id), shown.time, os.fsencode(shown.path), cursor.line, _clean(cursor.before),
        _clean(cursor.after), _clean("\n".join(cursor.above)), _clean(cursor.below),
        _clean(shown.completion), _clean(shown.model), shown.adapter or "", SHOWN,
    )  # fmt: skip
    with db.transaction() as connection:
        done = connection.execute(
            "INSERT OR IGNORE INTO feedback (id, time, path, line, before, after, above, below,"
            " completion, model, adapter, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        if done.rowcount:
            key = shown.time // DAY_SECONDS, _clean(shown.model), shown.adapter or ""
            connection.execute("INSERT OR IGNORE INTO feedback_days VALUES (?,?,?,0,0,0,0)", key)
            _count(connection, key, SHOWN, 1)
            _prune(connection, shown.time)
        return bool(done.rowcount)


def record_outcome(
    db: Database, completion_id: str, outcome: str, final: str | None = None
) -> dict[str, str]:
    """Record the outcome of a completion. The last report wins; repeating it changes nothing.

    :param outcome: one of :data:`OUTCOMES`.
    :param final: the text that replaced it, if the editor knows. A commit overrides it.
    :return: id, outcome and path.
    :raises CopilotError: the id is unknown.
    """
    if final is not None:
        final = _clean(final)
    with db.transaction() as connection:
        found = connection.execute(
            "SELECT time, model, adapter, path, outcome, final, completion, hole_id"
            " FROM feedback WHERE id = ?",
            (_clean(completion_id),),
        ).fetchone()
        if found is None:
            raise CopilotError(
                f"unknown completion id {_clean(completion_id)!r}",
                "pass a recent id from `complete --json` in this repository"
                " (copilot.feedback must not be false)",
            )
        when, model, adapter, path, before, told, completion, hole_id = found
        if hole_id is not None or (final is None and outcome == before):
            final = told
        elif final is not None and (len(final) > MAX_TEXT or final.rstrip() == completion.rstrip()):
            final = None
        if (outcome, final) != (before, told):
            connection.execute(
                "UPDATE feedback SET outcome = ?, final = ? WHERE id = ?",
                (outcome, final, _clean(completion_id)),
            )
            key = when // DAY_SECONDS, model, adapter
            if before != SHOWN:
                _count(connection, key, before, -1)
            _count(connection, key, outcome, 1)
            _prune(connection, int(time.time()))
    return {"id": completion_id, "outcome": outcome, "path": os.fsdecode(path)}


def _count(
    connection: sqlite3.Connection, key: tuple[int, str, str], column: str, change: int
) -> None:
    assert column in MOST
    connection.execute(
        f"UPDATE feedback_days SET {column} = {column} + ?"
        " WHERE day = ? AND model = ? AND adapter = ?",
        (change, *key),
    )


def _prune(connection: sqlite3.Connection, now: int) -> None:
    """Delete rows that have waited too long, and the oldest ones beyond the limits."""
    for outcome, most in MOST.items():
        connection.execute(
            "DELETE FROM feedback WHERE hole_id IS NULL AND outcome = ? AND time < ?",
            (outcome, now - KEEP_SECONDS),
        )
        connection.execute(
            "DELETE FROM feedback WHERE id IN (SELECT id FROM feedback WHERE hole_id IS NULL"
            " AND outcome = ? ORDER BY time DESC, id DESC LIMIT -1 OFFSET ?)",
            (outcome, most),
        )
    oldest = now // DAY_SECONDS - KEEP_DAYS
    connection.execute("DELETE FROM feedback_days WHERE day < ?", (oldest,))


def reported_since(db: Database, since: int) -> list[ReportedCompletion]:
    """Completions shown at ``since`` or later that were accepted, edited or rejected, oldest
    first."""
    rows = db.query(
        "SELECT f.id, f.time, f.path, f.line, f.before, f.after, f.above, f.below, f.completion,"
        " f.model, f.adapter, f.outcome, f.final, f.tries, f.hole_id, h.commit_oid"
        " FROM feedback f LEFT JOIN holes h ON h.id = f.hole_id"
        " WHERE f.outcome != ? AND f.time >= ? ORDER BY f.time, f.id",
        (SHOWN, since),
    )
    return [_reported(*row) for row in rows]


def _reported(*row: Any) -> ReportedCompletion:
    (name, when, path, line, before, after, above, below, completion, model, adapter, outcome,
     final, tries, hole_id, commit) = row  # fmt: skip
    cursor = CursorContext(line, before, after, tuple(above.split("\n")) if above else (), below)
    shown = ShownCompletion(
        name, when, os.fsdecode(path), cursor, completion, model, adapter or None
    )
    return ReportedCompletion(shown, outcome, final, tries, hole_id, commit)


def feedback_weights(db: Database, hole_ids: Sequence[int]) -> dict[int, float]:
    """The training weights of those holes that come from feedback: 1 if the completion was
    committed unchanged, 1.5 if not."""
    weights: dict[int, float] = {}
    for begin in range(0, len(hole_ids), 500):
        part = tuple(hole_ids[begin : begin + 500])
        rows = db.query(
            "SELECT hole_id, max(final IS NOT NULL) FROM feedback WHERE hole_id IN"
            f" ({','.join('?' * len(part))}) GROUP BY hole_id",
            part,
        )
        for hole_id, corrected in rows:
            weights[int(str(hole_id))] = CORRECTED_WEIGHT if corrected else KEPT_WEIGHT
    return weights


def counts(db: Database) -> dict[str, int]:
    """Numbers of shown completions and of each outcome, over all stored days; of reports that wait
    for a commit (``pending``), and of reports that became holes (``examples``)."""
    sums = db.query(
        "SELECT ifnull(sum(shown), 0), ifnull(sum(accepted), 0), ifnull(sum(edited), 0),"
        " ifnull(sum(rejected), 0) FROM feedback_days"
    )[0]
    return {
        **{name: int(str(n)) for name, n in zip((SHOWN, *OUTCOMES), sums, strict=True)},
        "pending": db.scalar(
            "SELECT count(*) FROM feedback WHERE hole_id IS NULL AND outcome != ?", (SHOWN,)
        ),
        "examples": db.scalar(
            "SELECT count(DISTINCT hole_id) FROM feedback WHERE hole_id IS NOT NULL"
        ),
    }


def statistics(db: Database, now: int | None = None, days: int = FIGURE_DAYS) -> dict[str, Any]:
    """Shown completions and outcomes of the last ``days`` days: in total, ``by_day`` (UTC, newest
    first) and ``by_model``. ``acceptance_rate`` is the share of shown completions that were
    accepted or edited, ``None`` if none was shown."""
    today = (int(time.time()) if now is None else now) // DAY_SECONDS
    since = (today - days + 1,)
    sums = "sum(shown), sum(accepted), sum(edited), sum(rejected) FROM feedback_days WHERE day >= ?"
    by_day = db.query(f"SELECT day, {sums} GROUP BY day ORDER BY day DESC", since)
    by_model = db.query(
        f"SELECT model, adapter, {sums} GROUP BY model, adapter ORDER BY 3 DESC", since
    )
    whole = [sum(int(str(row[i])) for row in by_day) for i in range(1, 5)]
    return {
        "days": days,
        **_figures(whole),
        "by_day": [
            {"day": time.strftime("%F", time.gmtime(int(str(day)) * DAY_SECONDS)), **_figures(rest)}
            for day, *rest in by_day
        ],
        "by_model": [
            {"model": model, "adapter": adapter or None, **_figures(rest)}
            for model, adapter, *rest in by_model
        ],
    }


def _figures(numbers: Sequence[object]) -> dict[str, Any]:
    shown, accepted, edited, rejected = (int(str(n)) for n in numbers)
    return {
        "shown": shown,
        "accepted": accepted,
        "edited": edited,
        "rejected": rejected,
        "acceptance_rate": round((accepted + edited) / shown, 4) if shown else None,
    }


def _clean(text: str) -> str:
    """Normalise text for the database: ``\\n`` line ends, no lone surrogates."""
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")
