"""Accepted characters are followed into the next commit of their file, and for 30 days."""

from __future__ import annotations

import pytest

from git_copilot.index.corpus import feedback_outcomes, feedback_store, retention
from git_copilot.index.corpus.feedback_holes import MAX_TRIES
from git_copilot.index.corpus.feedback_statistics import statistics
from git_copilot.index.corpus.mining import mine
from git_copilot.index.corpus.survival import update_survival
from tests.support.shown_completions import HEAD, NOW, TAIL, feedback_ids, record_completion

DAY = 86400
UNKNOWN = (0, 0)


def retained(db):
    """(retained, of all whose fate is known) at the commit and after 30 days."""
    found = statistics(db, NOW + 60)["characters"]
    return [(found[k]["characters"], found[k]["of"]) for k in ("at_commit", "after_30_days")]


def accept(db, completion="total * 2", outcome="accepted", name="c1", **more):
    record_completion(db, HEAD + "    area = |\n" + TAIL, completion, name=name)
    feedback_outcomes.record_outcome(db, name, outcome, **more)


def commit(repo, git, db, line, when=NOW + 60):
    repo._clock = when
    repo.commit({"a.py": HEAD + line + TAIL})
    mine(git, db)


def look(git, db, days):
    update_survival(git, db)
    return retention.update_kept(db, NOW + days * DAY)


@pytest.fixture
def opened(repo, opened_repo):
    repo.commit({"a.py": HEAD + TAIL})
    return opened_repo


@pytest.mark.parametrize(
    ("outcome", "length", "line", "kept", "of"),
    [
        ("accepted", None, "    area = total * 2\n", 9, 9),
        ("accepted", None, "    area = total * 2 + width\n", 9, 9),
        ("accepted", None, "    area = total + width\n", 6, 9),
        ("accepted", None, "    area = height\n", 0, 9),
        ("partial", 5, "    area = total + width\n", 5, 5),
        ("partial", 5, "    area = height\n", 0, 5),
        ("rejected", None, "    area = total * 2\n", 0, 0),
    ],
)
def test_the_next_commit_tells_how_much_was_retained(repo, opened, outcome, length, line, kept, of):
    git, db = opened
    accept(db, outcome=outcome, length=length)
    assert retained(db) == [UNKNOWN, UNKNOWN]
    commit(repo, git, db, line)
    assert retained(db) == [(kept, of), UNKNOWN]
    mine(git, db)
    assert retained(db) == [(kept, of), UNKNOWN]


def test_a_later_commit_corrects_the_count_of_the_next_one(repo, opened):
    git, db = opened
    accept(db)
    repo._clock = NOW + 50
    repo.commit({"b.py": TAIL})
    mine(git, db)
    assert retained(db)[0] == UNKNOWN, "its own file was not committed"
    repo.commit({"a.py": HEAD + TAIL + "# of another change\n"})
    mine(git, db)
    assert retained(db)[0] == (0, 9)
    commit(repo, git, db, "    area = total * 2\n", NOW + 90)
    assert retained(db)[0] == (9, 9)


def test_an_amended_commit_is_compared_again(repo, opened):
    git, db = opened
    accept(db)
    commit(repo, git, db, "    area = total * 2\n")
    repo.git("reset", "-q", "--soft", "HEAD~1")
    commit(repo, git, db, "    area = total + 2\n", NOW + 120)
    assert retained(db) == [(8, 9), UNKNOWN]


def test_thirty_days_later_the_survival_of_the_lines_counts(repo, opened):
    git, db = opened
    accept(db)
    commit(repo, git, db, "    area = total * 2\n")
    assert not retention.is_due(db, NOW + 29 * DAY) and look(git, db, 29) == 0
    assert retention.is_due(db, NOW + 31 * DAY) and look(git, db, 31) == 1
    assert retained(db) == [(9, 9), (9, 9)]
    assert not retention.is_due(db, NOW + 90 * DAY) and look(git, db, 90) == 0


@pytest.mark.parametrize(("days", "kept"), [(10, 0), (40, 9)])
def test_only_what_was_removed_within_thirty_days_is_lost(repo, opened, days, kept):
    git, db = opened
    accept(db)
    commit(repo, git, db, "    area = total * 2\n")
    commit(repo, git, db, "    area = None\n", NOW + days * DAY)
    assert look(git, db, 50) == 1
    assert retained(db) == [(9, 9), (kept, 9)]


def test_what_no_commit_has_is_lost_when_its_row_is_deleted(repo, opened, monkeypatch):
    git, db = opened
    accept(db)
    accept(db, name="c2")
    for number in range(MAX_TRIES):
        commit(
            repo, git, db, f"    size_{number} = unrelated(width)\n    print()\n", NOW + 60 + number
        )
    assert feedback_ids(db) == [] and retained(db) == [(0, 18), (0, 18)]
    accept(db, name="waits")
    accept(db, name="tried")
    db.connection.execute("UPDATE feedback SET committed = 0 WHERE id = 'tried'")
    later = NOW + feedback_store.KEEP_SECONDS + 120
    record_completion(db, "x = |", "y", name="new", when=later)
    assert feedback_ids(db) == ["new"]
    assert retained(db)[1] == (0, 27), (
        "of the one that no commit was compared with nothing is known"
    )


def test_a_report_after_the_commit_makes_its_count_unknown(repo, opened):
    git, db = opened
    accept(db, outcome="partial", length=5)
    commit(repo, git, db, "    area = total + width\n")
    look(git, db, 31)
    assert retained(db) == [(5, 5), (5, 5)]
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    assert retained(db) == [UNKNOWN, UNKNOWN]
    assert statistics(db)["characters"]["accepted"] == 9
