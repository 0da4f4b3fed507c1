"""Records outcomes of completions, and corrects the daily counts with them."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus import feedback_days
from git_copilot.index.corpus.buffer_outcome import BufferOutcome, OpenCompletion
from git_copilot.index.corpus.feedback_days import DAY_SECONDS, DayKey
from git_copilot.index.corpus.feedback_store import (
    ACCEPTED,
    EDITED,
    MAX_TEXT,
    PARTIAL,
    REJECTED,
    SHOWN,
    clean,
    cursor_from_row,
    prune,
)
from git_copilot.index.store.database import Database

# Completions of one file that a buffer is compared with.
MOST_OPEN = 8


@dataclass(frozen=True, slots=True)
class _Row:
    """What is known of a completion when a report arrives."""

    key: DayKey
    path: bytes
    completion: str
    outcome: str
    final: str | None
    hole_id: int | None
    inferred: bool
    typed: int
    taken: int
    committed: int | None
    kept: int | None

    @classmethod
    def load(cls, connection: sqlite3.Connection, name: str) -> _Row | None:
        found = connection.execute(
            "SELECT time, model, adapter, language, path, completion, outcome, final, hole_id,"
            " inferred, typed, taken, committed, kept FROM feedback WHERE id = ?",
            (name,),
        ).fetchone()
        if found is None:
            return None
        when, model, adapter, language, *rest = found
        return cls((when // DAY_SECONDS, model, adapter, language), *rest)


def record_outcome(
    db: Database,
    completion_id: str,
    outcome: str,
    final: str | None = None,
    length: int | None = None,
) -> dict[str, str]:
    """Record the outcome of a completion. The last report wins, and repeating it changes nothing;
    only where a part was accepted, the longest part counts, the whole counts more, and a rejection
    is that of the rest.

    :param outcome: one of :data:`OUTCOMES`.
    :param final: the text that replaced it, if the editor knows. A commit overrides it.
    :param length: of the accepted part, in characters, where the outcome is ``partial``.
    :return: id, the outcome that is recorded now, and path.
    :raises CopilotError: the id is unknown.
    """
    name = clean(completion_id)
    with db.transaction() as connection:
        row = _Row.load(connection, name)
        if row is None:
            raise CopilotError(
                f"unknown completion id {name!r}",
                "pass a recent id from `complete --json` in this repository"
                " (copilot.feedback must not be false)",
            )
        outcome, taken = _reported_outcome(row, outcome, length)
        final = _final(row, outcome, None if final is None else clean(final))
        if (outcome, final, taken, False) != (row.outcome, row.final, row.taken, row.inferred):
            _change(connection, name, row, outcome, final, taken)
            prune(connection, int(time.time()))
    return {"id": completion_id, "outcome": outcome, "path": os.fsdecode(row.path)}


def _reported_outcome(row: _Row, outcome: str, length: int | None) -> tuple[str, int]:
    """The outcome after a report, and the number of accepted characters."""
    whole = len(row.completion)
    known = SHOWN if row.inferred else row.outcome
    if outcome == PARTIAL:
        # Who typed the beginning was shown the rest, under the same id (answer_cache.py).
        part = min(row.typed + (length or 0), whole)
        if known in (ACCEPTED, EDITED):
            return known, row.taken
        if known == PARTIAL:
            part = max(part, row.taken)
        return (PARTIAL, part) if row.completion[part:].strip() else (ACCEPTED, whole)
    if known == PARTIAL and outcome == REJECTED:
        return known, row.taken
    if outcome == REJECTED:
        return outcome, 0
    if outcome == EDITED and known in (PARTIAL, EDITED):
        return outcome, row.taken
    return outcome, whole


def open_completions(db: Database, path: str, since: int) -> list[OpenCompletion]:
    """Completions shown in a file at ``since`` or later of which nothing was reported, newest
    first; of those that were accepted by the evidence of a buffer only parts."""
    rows = db.query(
        "SELECT id, line, before, after, above, below, completion, typed, outcome = 'partial'"
        " FROM feedback WHERE path = ? AND time >= ?"
        " AND (outcome = 'shown' OR outcome = 'partial' AND inferred = 1)"
        f" ORDER BY time DESC, id LIMIT {MOST_OPEN}",
        (os.fsencode(path), since),
    )
    return [_open(*row) for row in rows]


def _open(*row: Any) -> OpenCompletion:
    name, line, before, after, above, below, completion, typed, partial = row
    cursor = cursor_from_row(line, before, after, above, below)
    return OpenCompletion(name, cursor, completion, typed, bool(partial))


def record_inferred(db: Database, found: Sequence[BufferOutcome]) -> None:
    """Record what a buffer told of open completions. A report that has arrived since is kept."""
    with db.transaction() as connection:
        for each in found:
            row = _Row.load(connection, each.id)
            if row is None or not (
                row.outcome == SHOWN or (row.outcome == PARTIAL and row.inferred)
            ):
                continue
            if each.typed:
                connection.execute(
                    "UPDATE feedback SET typed = ? WHERE id = ?", (each.typed, each.id)
                )
            if each.outcome is not None:
                _change(
                    connection, each.id, row, each.outcome, row.final, each.taken, inferred=True
                )


def _final(row: _Row, outcome: str, final: str | None) -> str | None:
    """The text that replaced a completion, after a report."""
    if row.hole_id is not None or (final is None and outcome == row.outcome):
        return row.final
    if final is not None and (len(final) > MAX_TEXT or final.rstrip() == row.completion.rstrip()):
        return None
    return final


def _change(
    connection: sqlite3.Connection, name: str, row: _Row, outcome: str, final: str | None,
    taken: int, *, inferred: bool = False,
) -> None:  # fmt: skip
    """Write an outcome, and correct the counts of the day."""
    changes = {"chars_accepted": taken - row.taken, "inferred": inferred - row.inferred}
    if outcome != row.outcome:
        changes[outcome] = 1
        if row.outcome != SHOWN:
            changes[row.outcome] = -1
    committed, kept = row.committed, row.kept
    if committed is not None and taken != row.taken:  # the commit was compared with another part
        changes["chars_settled"], changes["chars_committed"] = -row.taken, -committed
        if kept is not None:
            changes["chars_aged"], changes["chars_kept"] = -row.taken, -kept
        committed = kept = None
    connection.execute(
        "UPDATE feedback SET outcome = ?, final = ?, taken = ?, inferred = ?, committed = ?,"
        " kept = ? WHERE id = ?",
        (outcome, final, taken, inferred, committed, kept, name),
    )
    feedback_days.add(connection, row.key, changes)
