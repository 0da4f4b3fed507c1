"""Which commit decides the outcome of a completion, and which gives no example."""

from __future__ import annotations

import pytest

from git_copilot.index.corpus import feedback_outcomes
from git_copilot.index.corpus.feedback_holes import MAX_TRIES
from git_copilot.index.corpus.feedback_statistics import counts, statistics
from git_copilot.index.corpus.mining import load_holes, mine
from tests.support.shown_completions import (
    HEAD,
    NOW,
    TAIL,
    feedback_examples,
    feedback_ids,
    record_completion,
)


@pytest.mark.parametrize("together", [True, False], ids=["one commit", "renamed first"])
def test_feedback_follows_a_renamed_file(repo, opened_repo, together):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    |\n" + TAIL, "return total, width")
    feedback_outcomes.record_outcome(db, "c1", "rejected")
    repo.git("mv", "a.py", "b ü.py")
    if not together:
        repo.commit({}, "rename")
        mine(git, db)
        assert feedback_examples(git, db) == {}
    oid = repo.commit({"b ü.py": HEAD + "    return width, height\n" + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("return width, height", 1.5, "    ")]}
    assert load_holes(db, [oid])[0].path == "b ü.py"


def test_feedback_in_an_ignored_file_gives_no_example(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL, "b.py": HEAD + TAIL, ".copilotignore": "a.py\n"})
    for name in "ab":
        record_completion(
            db, HEAD + "    area = |\n" + TAIL, "total * 2", path=f"{name}.py", name=name
        )
        feedback_outcomes.record_outcome(db, name, "accepted")
    text = HEAD + "    area = total * 2\n" + TAIL
    oid = repo.commit({"a.py": text, "b.py": text})
    mine(git, db)
    assert [hole.path for hole in load_holes(db, [oid]) if hole.kind == "completion"] == ["b.py"]


def test_commits_excluded_from_mining_give_no_example_but_renames_count(repo, opened_repo):
    git, db = opened_repo
    bot = {"GIT_AUTHOR_NAME": "mover[bot]"}
    repo.commit({"a.py": HEAD + TAIL, "b.py": HEAD + TAIL})
    for name in "ab":
        record_completion(
            db, HEAD + "    area = |\n" + TAIL, "total * 2", path=f"{name}.py", name=name
        )
        feedback_outcomes.record_outcome(db, name, "accepted")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL}, **bot)
    repo.git("mv", "b.py", "c.py")
    repo.commit({}, **bot)
    mine(git, db)
    assert feedback_examples(git, db) == {} and db.scalar("SELECT max(tries) FROM feedback") == 0
    oid = repo.commit({"c.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("total * 2", 1.0, "    area = ")]}


@pytest.mark.parametrize("collected", [False, True], ids=["kept", "collected"])
def test_an_amended_commit_replaces_the_example(repo, opened_repo, collected):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    first = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {first: [("total * 2", 1.0, "    area = ")]}
    repo.write({"a.py": HEAD + "    area = total ** 2\n" + TAIL})
    repo.git("commit", "-q", "-a", "--amend", "-m", "amended")
    if collected:
        repo.git("reflog", "expire", "--expire=now", "--all")
        repo.git("gc", "-q", "--prune=now")
        assert not git.has_object(first)
    mine(git, db)
    second = repo.git("rev-parse", "HEAD")
    assert feedback_examples(git, db) == {second: [("total ** 2", 1.5, "    area = ")]}


def test_feedback_of_a_forgotten_commit_becomes_pending_again(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    first = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    with db.transaction() as connection:
        connection.execute("DELETE FROM commits WHERE oid = ?", (first,))
    assert counts(db)["examples"] == 0 and counts(db)["pending"] == 1
    mine(git, db)
    assert list(feedback_examples(git, db)) == [first]


def test_feedback_expires_after_commits_that_do_not_contain_it(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL, "b.py": TAIL})
    mine(git, db)
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    repo.commit({"b.py": HEAD + "    area = total * 2\n" + TAIL})  # another file
    mine(git, db)
    assert db.scalar("SELECT tries FROM feedback") == 0
    for number in range(MAX_TRIES):
        assert feedback_ids(db) == ["c1"]
        repo.commit({"a.py": HEAD + TAIL + f"\n\ndef number_{number}(x):\n    return x + total\n"})
        mine(git, db)
    assert feedback_ids(db) == [] and feedback_examples(git, db) == {}
    assert statistics(db)["accepted"] == 1, "people see what was taken all the same"


def test_a_commit_older_than_the_completion_is_no_example_of_it(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL, "b.py": HEAD + TAIL})
    text = HEAD + "    area = total * 2\n" + TAIL
    oid = repo.commit({"a.py": text, "b.py": text})
    buffer = HEAD + "    area = |\n" + TAIL
    record_completion(db, buffer, "total * 2", path="a.py", name="after", when=NOW + 7200)
    record_completion(db, buffer, "total * 2", path="b.py", name="before", when=NOW)
    for name in ("after", "before"):
        feedback_outcomes.record_outcome(db, name, "accepted")
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("total * 2", 1.0, "    area = ")]}
    assert [hole.path for hole in load_holes(db, [oid]) if hole.kind == "completion"] == ["b.py"]
    assert db.scalar("SELECT tries FROM feedback WHERE id = 'after'") == 0


def test_a_commit_of_other_files_is_no_try_for_a_completion(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    for path in ("a.py", "b.py"):
        record_completion(db, HEAD + "    area = |\n" + TAIL, "total", path=path, name=path)
        feedback_outcomes.record_outcome(db, path, "accepted")
    repo.commit({"a.py": HEAD + TAIL + "\n\ndef number(x):\n    return x + total\n"})
    mine(git, db)
    assert feedback_examples(git, db) == {}
    tries = dict(db.query("SELECT id, tries FROM feedback"))
    assert tries == {"a.py": 1, "b.py": 0}


def test_text_not_added_by_the_commit_gives_no_example(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    record_completion(db, HEAD + "    area = |total * 2\n" + TAIL, "width")
    feedback_outcomes.record_outcome(db, "c1", "rejected")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL + "print(area)\n"})
    mine(git, db)
    assert feedback_examples(git, db) == {} and feedback_ids(db) == ["c1"]


@pytest.mark.parametrize(
    ("path", "line", "completion"),
    [
        ("a.py", "    area = |\n", "total * 2"),
        ("a.py", "    # @generated\n    area = |\n", "total * 2"),
        ("a.py", "    key = |\n", "'AKIAIOSFODNN7REALKEY'"),
        ("notes.txt", "    area = |\n", "total * 2"),
        ("vendor/a.py", "    area = |\n", "total * 2"),
        ("a.py", "    area = (total|\n", ")"),
        ("a.py", "    area = |\n", "x" * 80),
    ],
    ids=["taken", "generated", "secret", "prose", "vendored", "no letter", "a hash"],
)
def test_feedback_obeys_the_filters_of_mining(request, repo, opened_repo, path, line, completion):
    git, db = opened_repo
    repo.commit({path: HEAD + TAIL})
    record_completion(db, HEAD + line + TAIL, completion, path=path)
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    oid = repo.commit({path: HEAD + line.replace("|", completion) + TAIL})
    mine(git, db)
    taken = {oid: [(completion, 1.0, "    area = ")]}
    assert feedback_examples(git, db) == (taken if request.node.callspec.id == "taken" else {})


def test_text_below_the_cursor_in_a_new_file_is_no_example(repo, opened_repo):
    """In a file that is new as a whole, what stood below the cursor is no answer either."""
    git, db = opened_repo
    for number, line in enumerate(["    |\n", "|\n", "    area = total|\n"]):
        record_completion(db, HEAD + line + TAIL, "return width, height", name=f"c{number}")
        feedback_outcomes.record_outcome(db, f"c{number}", "rejected")
    repo.commit({})
    repo.commit({"a.py": HEAD + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {}
