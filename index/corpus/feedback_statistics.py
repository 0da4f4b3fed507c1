"""Figures on completions that were shown and accepted, from the daily counts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from git_copilot.index.corpus.feedback_days import (
    COLUMNS,
    DAY_SECONDS,
    OUTCOME_COLUMNS,
    DayKey,
    percentile,
)
from git_copilot.index.corpus.feedback_store import SHOWN
from git_copilot.index.store.database import Database

FIGURE_DAYS = 30
_Group = TypeVar("_Group")


def counts(db: Database) -> dict[str, int]:
    """Numbers of shown completions and of each outcome, over all stored days; of reports that wait
    for a commit (``pending``), and of reports that became holes (``examples``)."""
    sums = ", ".join(f"ifnull(sum({column}), 0)" for column in OUTCOME_COLUMNS)
    (row,) = db.query(f"SELECT {sums} FROM feedback_days")
    return {
        **{name: int(str(n)) for name, n in zip(OUTCOME_COLUMNS, row, strict=True)},
        "pending": db.scalar(
            "SELECT count(*) FROM feedback WHERE hole_id IS NULL AND outcome != ?", (SHOWN,)
        ),
        "examples": db.scalar(
            "SELECT count(DISTINCT hole_id) FROM feedback WHERE hole_id IS NOT NULL"
        ),
    }


@dataclass(slots=True)
class _Sums:
    """Sums of counts, and the buckets of times."""

    numbers: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        number = self.numbers
        taken = number["accepted"] + number["partial"] + number["edited"]
        p50, p90 = (percentile(self.latency, share) for share in (0.5, 0.9))
        return {
            **{column: number[column] for column in OUTCOME_COLUMNS},
            "acceptance_rate": _share(taken, number["shown"]),
            "automatic": number["automatic"],
            "inferred": number["inferred"],
            "characters": {
                "shown": number["chars_shown"],
                "accepted": number["chars_accepted"],
                "at_commit": _retained(number["chars_committed"], number["chars_settled"]),
                "after_30_days": _retained(number["chars_kept"], number["chars_aged"]),
            },
            "latency_ms": {"p50": _rounded(p50), "p90": _rounded(p90)},
        }


def statistics(db: Database, now: int | None = None, days: int = FIGURE_DAYS) -> dict[str, Any]:
    """Figures on the completions shown in the last ``days`` days: in total, ``by_day`` (UTC, newest
    first), ``by_language``, ``by_model`` and ``by_adapter`` (most shown first).

    ``acceptance_rate`` is the share of shown completions that were accepted, in whole, in part or
    with edits; ``None`` if none was shown. What the user typed is not in it: who types along without
    a key sees, and types, the same text several times. Of ``characters``,
    ``at_commit`` tells how many of those accepted (``of``, as far as their file was committed
    since) are in that commit, and ``after_30_days`` how many were still there 30 days later.
    """
    today = (int(time.time()) if now is None else now) // DAY_SECONDS
    sums = _load(db, today - days + 1)
    return {
        "days": days,
        **_total(sums).to_json(),
        "by_day": [
            {"day": time.strftime("%F", time.gmtime(day * DAY_SECONDS)), **each.to_json()}
            for day, each in sorted(_by(sums, lambda key: key[0]), key=lambda item: -item[0])
        ],
        "by_language": [
            {"language": language or None, **each.to_json()}
            for language, each in _most_shown(_by(sums, lambda key: key[3]))
        ],
        "by_model": [
            {"model": model, **each.to_json()}
            for model, each in _most_shown(_by(sums, lambda key: key[1]))
        ],
        "by_adapter": [
            {"adapter": adapter or None, "model": model, **each.to_json()}
            for (adapter, model), each in _most_shown(_by(sums, lambda key: (key[2], key[1])))
        ],
    }


def _load(db: Database, since: int) -> dict[DayKey, _Sums]:
    sums: dict[DayKey, _Sums] = {}
    key_columns = "day, model, adapter, language"
    for row in db.query(
        f"SELECT {key_columns}, {', '.join(COLUMNS)} FROM feedback_days WHERE day >= ?", (since,)
    ):
        each = sums.setdefault(_key(row), _Sums())
        each.numbers.update({c: int(str(n)) for c, n in zip(COLUMNS, row[4:], strict=True)})
    for row in db.query(
        f"SELECT {key_columns}, bucket, count FROM feedback_latency WHERE day >= ?", (since,)
    ):
        sums.setdefault(_key(row), _Sums()).latency[int(str(row[4]))] += int(str(row[5]))
    return sums


def _key(row: tuple[object, ...]) -> DayKey:
    return int(str(row[0])), str(row[1]), str(row[2]), str(row[3])


def _by(sums: dict[DayKey, _Sums], group: Callable[[DayKey], _Group]) -> list[tuple[_Group, _Sums]]:
    found: dict[_Group, _Sums] = {}
    for key, each in sums.items():
        into = found.setdefault(group(key), _Sums())
        into.numbers.update(each.numbers)
        into.latency.update(each.latency)
    return list(found.items())


def _total(sums: dict[DayKey, _Sums]) -> _Sums:
    return next((each for _, each in _by(sums, lambda key: None)), _Sums())


def _most_shown(groups: Iterable[tuple[Any, _Sums]]) -> list[tuple[Any, _Sums]]:
    return sorted(groups, key=lambda item: (-item[1].numbers["shown"], item[0]))


def _retained(characters: int, of: int) -> dict[str, Any]:
    return {"characters": characters, "of": of, "share": _share(characters, of)}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(latency: float | None) -> float | None:
    return None if latency is None else round(latency, 1)
