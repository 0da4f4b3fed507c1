"""Stored feedback: the last report wins, rows are bounded, statistics are complete."""

from __future__ import annotations

import time

import pytest

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus import feedback_store
from git_copilot.index.corpus.feedback_store import counts, statistics
from git_copilot.index.corpus.mining import mine
from tests.support.shown_completions import (
    HEAD,
    NOW,
    TAIL,
    feedback_examples,
    feedback_ids,
    record_completion,
)


def test_the_last_report_wins_and_repeating_it_changes_nothing(opened_repo):
    _, db = opened_repo
    record_completion(db, HEAD + "    area = |\n", "total * 2")
    record_completion(db, HEAD + "    area = |\n", "total * 2")
    said = [("accepted", None), ("accepted", None), ("edited", "x + 1"), ("edited", None)]
    for outcome, final in said:
        feedback_store.record_outcome(db, "c1", outcome, final)
    assert db.query("SELECT outcome, final FROM feedback") == [("edited", "x + 1")]
    assert statistics(db)["shown"] == statistics(db)["edited"] == 1
    assert statistics(db)["accepted"] == statistics(db)["rejected"] == 0
    feedback_store.record_outcome(db, "c1", "rejected")
    assert db.query("SELECT outcome, final FROM feedback") == [("rejected", None)]
    assert statistics(db)["rejected"] == 1 and statistics(db)["edited"] == 0


def test_a_report_after_the_commit_does_not_change_the_example(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_store.record_outcome(db, "c1", "edited", "total * 2\r\n")
    assert db.query("SELECT final FROM feedback") == [(None,)], "that is the completion"
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    feedback_store.record_outcome(db, "c1", "rejected", "width")
    assert db.query("SELECT outcome, final FROM feedback") == [("rejected", None)]
    assert feedback_examples(git, db) == {oid: [("total * 2", 1.0, "    area = ")]}


def test_reporting_an_unknown_completion_is_a_one_line_error(opened_repo):
    _, db = opened_repo
    with pytest.raises(CopilotError, match="unknown completion id 'c9'"):
        feedback_store.record_outcome(db, "c9", "accepted")
    with pytest.raises(CopilotError, match="unknown completion id"):
        feedback_store.record_outcome(db, "\udcff", "accepted")


def test_any_text_can_be_stored(opened_repo):
    _, db = opened_repo
    record_completion(db, "\udcff = |", "a\ud800\r\nb", path="\udcff.py", model="/m\udcff")
    feedback_store.record_outcome(db, "c1", "edited", "\udfff\r\n")
    (known,) = feedback_store.reported_since(db, 0)
    assert known.shown.path == "\udcff.py"
    assert (known.shown.completion, known.final) == ("a?\nb", "?\n")


def test_rows_are_bounded_and_statistics_stay_complete(opened_repo, monkeypatch):
    _, db = opened_repo
    monkeypatch.setattr(
        feedback_store, "MOST", {"shown": 5, "accepted": 4, "edited": 3, "rejected": 2}
    )
    for number in range(40):
        record_completion(db, "x = |", "y", name=f"c{number:02}", when=NOW - 40 + number)
        outcome = ("shown", *feedback_store.OUTCOMES)[number % 4]
        if outcome != "shown":
            feedback_store.record_outcome(db, f"c{number:02}", outcome)
    kept = dict(db.query("SELECT outcome, count(*) FROM feedback GROUP BY 1"))
    # The last one shown had pushed out a fifth, and was then accepted.
    assert kept == {"shown": 4, "accepted": 4, "edited": 3, "rejected": 2}
    newest = "SELECT id FROM feedback WHERE outcome = 'rejected' ORDER BY 1"
    assert db.query(newest) == [("c35",), ("c39",)]
    assert counts(db) == {
        "shown": 40, "accepted": 10, "edited": 10, "rejected": 10, "pending": 9, "examples": 0,
    }  # fmt: skip


def test_at_most_2000_completions_are_pending():
    assert sum(feedback_store.MOST.values()) <= 2000
    assert set(feedback_store.MOST) == {"shown", *feedback_store.OUTCOMES}


def test_old_rows_are_deleted(opened_repo):
    _, db = opened_repo
    old = NOW - feedback_store.KEEP_SECONDS - 10
    record_completion(db, "x = |", "y", name="old", when=old)
    record_completion(db, "x = |", "y", name="older", when=old)
    feedback_store.record_outcome(db, "older", "accepted")
    record_completion(db, "x = |", "y", name="new")
    assert feedback_ids(db) == ["new"]


def test_bounding_rows_keeps_their_examples(repo, opened_repo, monkeypatch):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_store.record_outcome(db, "c1", "accepted")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    monkeypatch.setattr(feedback_store, "MOST", dict.fromkeys(feedback_store.MOST, 0))
    record_completion(db, "x = |", "y", name="c2", when=NOW + feedback_store.KEEP_SECONDS * 2)
    assert feedback_ids(db) == ["c1"]


def test_statistics_are_by_day_and_by_model(opened_repo):
    _, db = opened_repo
    day = feedback_store.DAY_SECONDS
    for name, when, adapter, outcome in [
        ("a", NOW, None, "accepted"), ("b", NOW, "lora-1", "edited"), ("c", NOW, "lora-1", None),
        ("d", NOW - day, "lora-1", "rejected"), ("e", NOW - 30 * day, None, "accepted"),
    ]:  # fmt: skip
        record_completion(db, "x = |", "y", name=name, when=when, adapter=adapter)
        if outcome is not None and name != "e":
            feedback_store.record_outcome(db, name, outcome)
    found = statistics(db, NOW)
    assert {k: v for k, v in found.items() if not k.startswith("by_")} == {
        "days": 30, "shown": 4, "accepted": 1, "edited": 1, "rejected": 1, "acceptance_rate": 0.5,
    }  # fmt: skip
    days = [(d["day"], d["shown"], d["acceptance_rate"]) for d in found["by_day"]]
    assert days == [
        (time.strftime("%F", time.gmtime(NOW)), 3, 0.6667),
        (time.strftime("%F", time.gmtime(NOW - day)), 1, 0.0),
    ]
    models = [(m["model"], m["adapter"], m["shown"]) for m in found["by_model"]]
    assert models == [("m", "lora-1", 3), ("m", None, 1)]
    assert statistics(db, NOW - 300 * day)["by_day"][-1]["shown"] == 1
    assert statistics(db, NOW + 300 * day)["acceptance_rate"] is None
