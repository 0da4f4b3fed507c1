"""The feedback table: completions that were shown, and their outcomes.

A row waits until a commit shows the final text (:mod:`git_copilot.index.corpus.feedback_holes`).
Daily counts are stored separately (:mod:`git_copilot.index.corpus.feedback_days`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from git_copilot.index.corpus import feedback_days, retention
from git_copilot.index.corpus.feedback_days import DAY_SECONDS
from git_copilot.index.corpus.outcome import CursorContext
from git_copilot.index.store.database import Database

SHOWN, ACCEPTED, PARTIAL, EDITED, REJECTED = "shown", "accepted", "partial", "edited", "rejected"
# What an editor may report.
OUTCOMES = (ACCEPTED, PARTIAL, EDITED, REJECTED)
# The user typed the text that was shown; only the next buffer tells (buffer_outcome.py).
TYPED = "typed"
# Limits on waiting rows, by outcome: 2,000 in total. Accepted completions are most informative.
MOST = {SHOWN: 300, ACCEPTED: 700, TYPED: 100, PARTIAL: 200, EDITED: 400, REJECTED: 300}
KEEP_SECONDS = 30 * DAY_SECONDS
# Longer lines are minified; nobody reads longer completions.
MAX_BEFORE = 2000
MAX_TEXT = 16 * 1024
MAX_CLIENT = 40
# Training weights: the model learns most from completions that the user corrected.
KEPT_WEIGHT, CORRECTED_WEIGHT = 1.0, 1.5
# Rows that commits are searched for. A rejection that nobody reported may be a mere pause, and who
# typed the text himself has confirmed what mining finds anyway.
REPORTED = "(outcome IN ('accepted', 'partial', 'edited') OR outcome = 'rejected' AND inferred = 0)"


@dataclass(frozen=True, slots=True)
class ShownCompletion:
    """A completion that was shown; ``path`` is relative to the repository, ``time`` in seconds
    since 1970. ``automatic``: the editor asked by itself; ``client`` is a short name of the way
    that it was asked for (``command``, ``lsp``, ``http/infill``)."""

    id: str
    time: int
    path: str
    cursor: CursorContext
    completion: str
    model: str
    adapter: str | None = None
    language: str = ""
    latency_ms: float | None = None
    automatic: bool = False
    client: str = ""


@dataclass(frozen=True, slots=True)
class ReportedCompletion:
    """A completion with its outcome and, once a commit has resolved it, its hole and commit. Its
    first ``taken`` characters were accepted; ``committed`` of them are in the next commit of the
    file (``None``: there was none)."""

    shown: ShownCompletion
    outcome: str
    final: str | None
    tries: int
    hole_id: int | None
    commit: str | None
    taken: int = 0
    committed: int | None = None


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
    cursor, completion = shown.cursor, clean(shown.completion)
    row = (
        clean(shown.id), shown.time, os.fsencode(shown.path), cursor.line, clean(cursor.before),
        clean(cursor.after), clean("\n".join(cursor.above)), clean(cursor.below), completion,
        clean(shown.model), shown.adapter or "", SHOWN, shown.language, shown.latency_ms,
        shown.automatic, clean(shown.client[:MAX_CLIENT]),
    )  # fmt: skip
    with db.transaction() as connection:
        done = connection.execute(
            "INSERT OR IGNORE INTO feedback (id, time, path, line, before, after, above, below,"
            " completion, model, adapter, outcome, language, latency_ms, automatic, client)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        if done.rowcount:
            key = shown.time // DAY_SECONDS, row[9], row[10], shown.language
            feedback_days.add_shown(
                connection, key, characters=len(completion), automatic=shown.automatic,
                latency_ms=shown.latency_ms,
            )  # fmt: skip
            prune(connection, shown.time)
        return bool(done.rowcount)


def prune(connection: sqlite3.Connection, now: int) -> None:
    """Delete rows that have waited too long, and the oldest ones beyond the limits."""
    retention.settle_expired(connection, now - KEEP_SECONDS)
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
    feedback_days.prune(connection, now)


def reported_since(db: Database, since: int) -> list[ReportedCompletion]:
    """Completions shown at ``since`` or later whose outcome is known, oldest first; without those
    that nothing is learnt from (see :data:`REPORTED`)."""
    rows = db.query(
        "SELECT f.id, f.time, f.path, f.line, f.before, f.after, f.above, f.below, f.completion,"
        " f.model, f.adapter, f.language, f.outcome, f.final, f.tries, f.hole_id, h.commit_oid,"
        " f.taken, f.committed FROM feedback f LEFT JOIN holes h ON h.id = f.hole_id"
        f" WHERE {REPORTED} AND f.time >= ? ORDER BY f.time, f.id",
        (since,),
    )
    return [_reported(*row) for row in rows]


def _reported(*row: Any) -> ReportedCompletion:
    (name, when, path, line, before, after, above, below, completion, model, adapter, language,
     outcome, final, tries, hole_id, commit, taken, committed) = row  # fmt: skip
    cursor = cursor_from_row(line, before, after, above, below)
    shown = ShownCompletion(
        name, when, os.fsdecode(path), cursor, completion, model, adapter or None, language
    )
    return ReportedCompletion(shown, outcome, final, tries, hole_id, commit, taken, committed)


def cursor_from_row(line: int, before: str, after: str, above: str, below: str) -> CursorContext:
    """The cursor of a row of ``feedback``."""
    return CursorContext(line, before, after, tuple(above.split("\n")) if above else (), below)


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


def clean(text: str) -> str:
    """Normalise text for the database: ``\\n`` line ends, no lone surrogates."""
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")
