"""Stored feedback: any text, bounded rows, complete counts."""

from __future__ import annotations

from git_copilot.index.corpus import feedback_outcomes, feedback_store
from git_copilot.index.corpus.feedback_statistics import counts
from git_copilot.index.corpus.mining import mine
from tests.support.shown_completions import (
    HEAD,
    NOW,
    TAIL,
    feedback_ids,
    record_completion,
)


def test_any_text_can_be_stored(opened_repo):
    _, db = opened_repo
    record_completion(db, "\udcff = |", "a\ud800\r\nb", path="\udcff.py", model="/m\udcff")
    feedback_outcomes.record_outcome(db, "c1", "edited", "\udfff\r\n")
    (known,) = feedback_store.reported_since(db, 0)
    assert known.shown.path == "\udcff.py"
    assert (known.shown.completion, known.final) == ("a?\nb", "?\n")


def test_rows_are_bounded_and_statistics_stay_complete(opened_repo, monkeypatch):
    _, db = opened_repo
    monkeypatch.setattr(
        feedback_store,
        "MOST",
        {"shown": 5, "accepted": 4, "typed": 9, "partial": 6, "edited": 3, "rejected": 2},
    )
    for number in range(40):
        record_completion(db, "x = |", "y", name=f"c{number:02}", when=NOW - 40 + number)
        outcome = ("shown", "accepted", "edited", "rejected")[number % 4]
        if outcome != "shown":
            feedback_outcomes.record_outcome(db, f"c{number:02}", outcome)
    kept = dict(db.query("SELECT outcome, count(*) FROM feedback GROUP BY 1"))
    # The last one shown had pushed out a fifth, and was then accepted.
    assert kept == {"shown": 4, "accepted": 4, "edited": 3, "rejected": 2}
    newest = "SELECT id FROM feedback WHERE outcome = 'rejected' ORDER BY 1"
    assert db.query(newest) == [("c35",), ("c39",)]
    assert counts(db) == {
        "shown": 40, "accepted": 10, "typed": 0, "partial": 0, "edited": 10, "rejected": 10,
        "pending": 9, "examples": 0,
    }  # fmt: skip


def test_at_most_2000_completions_are_pending():
    assert sum(feedback_store.MOST.values()) <= 2000
    assert set(feedback_store.MOST) == {
        "shown",
        "typed",
        *feedback_store.OUTCOMES,
    }


def test_old_rows_are_deleted(opened_repo):
    _, db = opened_repo
    old = NOW - feedback_store.KEEP_SECONDS - 10
    record_completion(db, "x = |", "y", name="old", when=old)
    record_completion(db, "x = |", "y", name="older", when=old)
    feedback_outcomes.record_outcome(db, "older", "accepted")
    record_completion(db, "x = |", "y", name="new")
    assert feedback_ids(db) == ["new"]


def test_bounding_rows_keeps_their_examples(repo, opened_repo, monkeypatch):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    monkeypatch.setattr(feedback_store, "MOST", dict.fromkeys(feedback_store.MOST, 0))
    record_completion(db, "x = |", "y", name="c2", when=NOW + feedback_store.KEEP_SECONDS * 2)
    assert feedback_ids(db) == ["c1"]
