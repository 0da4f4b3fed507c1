"""Figures on completions come from the daily counts."""

from __future__ import annotations

import math
import time

from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.corpus import feedback_days, feedback_outcomes
from git_copilot.index.corpus.feedback_statistics import statistics
from tests.support.shown_completions import NOW, record_completion

UNKNOWN = {"characters": 0, "of": 0, "share": None}


def test_statistics_are_by_day_and_by_model(opened_repo):
    _, db = opened_repo
    day = feedback_days.DAY_SECONDS
    for name, when, adapter, outcome in [
        ("a", NOW, None, "accepted"), ("b", NOW, "lora-1", "edited"), ("c", NOW, "lora-1", None),
        ("d", NOW - day, "lora-1", "rejected"), ("e", NOW - 30 * day, None, "accepted"),
    ]:  # fmt: skip
        record_completion(db, "x = |", "y", name=name, when=when, adapter=adapter)
        if outcome is not None and name != "e":
            feedback_outcomes.record_outcome(db, name, outcome)
    found = statistics(db, NOW)
    assert {k: v for k, v in found.items() if not k.startswith("by_")} == {
        "days": 30, "shown": 4, "accepted": 1, "typed": 0, "partial": 0, "edited": 1, "rejected": 1,
        "acceptance_rate": 0.5, "automatic": 0, "inferred": 0, "latency_ms": {"p50": None, "p90": None},
        "characters": {
            "shown": 4, "accepted": 2, "at_commit": UNKNOWN, "after_30_days": UNKNOWN,
        },
    }  # fmt: skip
    days = [(d["day"], d["shown"], d["acceptance_rate"]) for d in found["by_day"]]
    assert days == [
        (time.strftime("%F", time.gmtime(NOW)), 3, 0.6667),
        (time.strftime("%F", time.gmtime(NOW - day)), 1, 0.0),
    ]
    adapters = [(m["model"], m["adapter"], m["shown"]) for m in found["by_adapter"]]
    assert adapters == [("m", "lora-1", 3), ("m", None, 1)]
    assert [(m["model"], m["shown"]) for m in found["by_model"]] == [("m", 4)]
    assert statistics(db, NOW - 300 * day)["by_day"][-1]["shown"] == 1
    assert statistics(db, NOW + 300 * day)["acceptance_rate"] is None


def test_statistics_are_by_language_and_tell_automatic_ones(opened_repo):
    _, db = opened_repo
    for name, language in [("a", "python"), ("b", "go"), ("c", "go")]:
        record_completion(
            db, "x = |", "yy", name=name, language=language, automatic=name == "c", client="lsp"
        )
    found = statistics(db)
    assert [(m["language"], m["shown"]) for m in found["by_language"]] == [("go", 2), ("python", 1)]
    assert (found["automatic"], found["characters"]["shown"]) == (1, 6)
    assert db.query("SELECT DISTINCT client FROM feedback") == [("lsp",)]


def test_latency_is_told_within_five_percent_also_when_rows_are_deleted(opened_repo):
    _, db = opened_repo
    times = [0.2, *(float(t) for t in range(20, 400, 7))]
    for number, ms in enumerate(times):
        record_completion(db, "x = |", "y", name=f"c{number}", latency_ms=ms)
    record_completion(db, "x = |", "y", name="unknown")
    db.connection.execute("DELETE FROM feedback")
    told = statistics(db)["latency_ms"]
    for name, share in (("p50", 0.5), ("p90", 0.9)):
        exact = times[math.ceil(share * len(times)) - 1]
        assert abs(told[name] - exact) <= 0.05 * exact


@given(st.floats(1, 1e6))
def test_each_time_is_in_the_bucket_that_ends_at_or_above_it(ms):
    bucket = feedback_days.bucket_of(ms)
    assert feedback_days.BUCKET_GROWTH**bucket >= ms * (1 - 1e-6)
    assert bucket == 0 or feedback_days.BUCKET_GROWTH ** (bucket - 1) < ms * (1 + 1e-6)


def test_old_days_are_deleted_with_their_times(opened_repo):
    _, db = opened_repo
    old = NOW - (feedback_days.KEEP_DAYS + 1) * feedback_days.DAY_SECONDS
    record_completion(db, "x = |", "y", name="old", when=old, latency_ms=5.0)
    record_completion(db, "x = |", "y", name="new", latency_ms=5.0)
    for table in ("feedback_days", "feedback_latency"):
        assert db.scalar(f"SELECT count(*) FROM {table}") == 1
