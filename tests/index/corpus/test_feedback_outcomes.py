"""Reported outcomes: the last report wins, parts add up, counts follow."""

from __future__ import annotations

import pytest

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus import feedback_outcomes
from git_copilot.index.corpus.buffer_outcome import BufferOutcome
from git_copilot.index.corpus.feedback_statistics import statistics
from git_copilot.index.corpus.mining import mine
from tests.support.shown_completions import HEAD, TAIL, feedback_examples, record_completion


def test_the_last_report_wins_and_repeating_it_changes_nothing(opened_repo):
    _, db = opened_repo
    record_completion(db, HEAD + "    area = |\n", "total * 2")
    record_completion(db, HEAD + "    area = |\n", "total * 2")
    said = [("accepted", None), ("accepted", None), ("edited", "x + 1"), ("edited", None)]
    for outcome, final in said:
        feedback_outcomes.record_outcome(db, "c1", outcome, final)
    assert db.query("SELECT outcome, final FROM feedback") == [("edited", "x + 1")]
    assert statistics(db)["shown"] == statistics(db)["edited"] == 1
    assert statistics(db)["accepted"] == statistics(db)["rejected"] == 0
    feedback_outcomes.record_outcome(db, "c1", "rejected")
    assert db.query("SELECT outcome, final FROM feedback") == [("rejected", None)]
    assert statistics(db)["rejected"] == 1 and statistics(db)["edited"] == 0


def test_a_report_after_the_commit_does_not_change_the_example(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "edited", "total * 2\r\n")
    assert db.query("SELECT final FROM feedback") == [(None,)], "that is the completion"
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    feedback_outcomes.record_outcome(db, "c1", "rejected", "width")
    assert db.query("SELECT outcome, final FROM feedback") == [("rejected", None)]
    assert feedback_examples(git, db) == {oid: [("total * 2", 1.0, "    area = ")]}


def test_reporting_an_unknown_completion_is_a_one_line_error(opened_repo):
    _, db = opened_repo
    with pytest.raises(CopilotError, match="unknown completion id 'c9'"):
        feedback_outcomes.record_outcome(db, "c9", "accepted")
    with pytest.raises(CopilotError, match="unknown completion id"):
        feedback_outcomes.record_outcome(db, "\udcff", "accepted")


PARTS = [
    # reports (outcome, length), the outcome that is recorded, the accepted characters
    ([("partial", 5)], "partial", 5),
    ([("partial", 5), ("partial", 7)], "partial", 7),
    ([("partial", 7), ("partial", 5)], "partial", 7),
    ([("partial", 5), ("accepted", None)], "accepted", 9),
    ([("accepted", None), ("partial", 5)], "accepted", 9),
    ([("partial", 9)], "accepted", 9),
    ([("partial", 900)], "accepted", 9),
    ([("partial", 5), ("rejected", None)], "partial", 5),
    ([("rejected", None), ("partial", 5)], "partial", 5),
    ([("partial", 5), ("edited", None)], "edited", 5),
    ([("edited", None), ("partial", 5)], "edited", 9),
    ([("accepted", None), ("rejected", None)], "rejected", 0),
]


@pytest.mark.parametrize(("reports", "outcome", "taken"), PARTS)
def test_the_longest_accepted_part_counts_until_the_whole_is_accepted(
    opened_repo, reports, outcome, taken
):
    _, db = opened_repo
    record_completion(db, HEAD + "    area = |\n", "total * 2")
    for said, length in reports:
        done = feedback_outcomes.record_outcome(db, "c1", said, length=length)
    assert done["outcome"] == outcome
    assert db.query("SELECT outcome, taken, final FROM feedback") == [(outcome, taken, None)]
    found = statistics(db)
    counted = {name: found[name] for name in ("accepted", "partial", "edited", "rejected")}
    assert counted == {**dict.fromkeys(counted, 0), outcome: 1}
    assert found["characters"]["accepted"] == taken and found["characters"]["shown"] == 9


def test_a_part_counts_from_what_was_typed_before(opened_repo):
    """A person who types along sees the rest of the completion, which has the same id."""
    _, db = opened_repo
    record_completion(db, HEAD + "    area = |\n", "total * 2")
    feedback_outcomes.record_inferred(db, [BufferOutcome("c1", None, typed=3)])
    feedback_outcomes.record_outcome(db, "c1", "partial", length=2)
    assert db.query("SELECT outcome, taken FROM feedback") == [("partial", 5)]
    feedback_outcomes.record_outcome(db, "c1", "partial", length=6)
    assert db.query("SELECT outcome, taken FROM feedback") == [("accepted", 9)]


def test_a_part_becomes_an_example_of_what_was_written_not_of_the_part(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "partial", length=5)
    oid = repo.commit({"a.py": HEAD + "    area = total + width\n" + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("total + width", 1.5, "    area = ")]}
