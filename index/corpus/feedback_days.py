"""Daily counts of completions by model, adapter and language. They stay when the rows of single
completions are deleted, so that this does not distort them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping

DAY_SECONDS = 86400
KEEP_DAYS = 400
# Day, model, adapter (or empty), language (empty: counted by an older version).
DayKey = tuple[int, str, str, str]
OUTCOME_COLUMNS = ("shown", "accepted", "typed", "partial", "edited", "rejected")
COLUMNS = (
    *OUTCOME_COLUMNS, "automatic", "inferred", "chars_shown", "chars_accepted",
    "chars_settled", "chars_committed", "chars_aged", "chars_kept",
)  # fmt: skip
# A bucket of times ends this much later than the one before: what is told is within 5%.
BUCKET_GROWTH = 1.1


def add(connection: sqlite3.Connection, key: DayKey, changes: Mapping[str, int]) -> None:
    """Add to counts of a day, which :func:`add_shown` has begun.

    :param changes: by column; negative where an outcome was corrected.
    """
    changes = {column: change for column, change in changes.items() if change}
    assert set(changes) <= set(COLUMNS)
    if changes:
        sums = ", ".join(f"{column} = {column} + ?" for column in changes)
        connection.execute(
            f"UPDATE feedback_days SET {sums}"
            " WHERE day = ? AND model = ? AND adapter = ? AND language = ?",
            (*changes.values(), *key),
        )


def add_shown(
    connection: sqlite3.Connection,
    key: DayKey,
    *,
    characters: int,
    automatic: bool,
    latency_ms: float | None,
) -> None:
    """Count a completion that was shown."""
    connection.execute(
        "INSERT OR IGNORE INTO feedback_days (day, model, adapter, language) VALUES (?, ?, ?, ?)",
        key,
    )
    add(connection, key, {"shown": 1, "automatic": automatic, "chars_shown": characters})
    if latency_ms is not None:
        connection.execute(
            "INSERT INTO feedback_latency VALUES (?, ?, ?, ?, ?, 1)"
            " ON CONFLICT DO UPDATE SET count = count + 1",
            (*key, bucket_of(latency_ms)),
        )


def prune(connection: sqlite3.Connection, now: int) -> None:
    """Delete the oldest days."""
    oldest = (now // DAY_SECONDS - KEEP_DAYS,)
    connection.execute("DELETE FROM feedback_days WHERE day < ?", oldest)
    connection.execute("DELETE FROM feedback_latency WHERE day < ?", oldest)


def bucket_of(latency_ms: float) -> int:
    """The bucket of a time: bucket ``n`` ends at ``BUCKET_GROWTH ** n`` ms, the first at 1 ms."""
    return max(0, math.ceil(math.log(max(latency_ms, 1.0), BUCKET_GROWTH) - 1e-9))


def percentile(buckets: Mapping[int, int], share: float) -> float | None:
    """The time in ms that ``share`` of the counted completions took at most (nearest rank): the
    middle of its bucket, so within 5%. ``None`` if nothing was counted."""
    rank = max(1, math.ceil(share * sum(buckets.values())))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return float(BUCKET_GROWTH ** (bucket - 0.5)) if bucket else 1.0
    return None
