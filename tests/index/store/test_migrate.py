"""What a rebuilt database keeps of the old one."""

from __future__ import annotations

import sqlite3
import time

import pytest

from git_copilot.index.corpus import feedback_outcomes, feedback_store
from git_copilot.index.corpus.feedback_statistics import counts, statistics
from git_copilot.index.corpus.feedback_store import (
    ShownCompletion,
    record_shown,
)
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.outcome import CursorContext
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import forget
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.forget import AUTHOR, PATH
from git_copilot.index.store.migrate import (
    PreservedData,
    read_preserved,
    write_after_mining,
    write_before_mining,
)

NOW = int(time.time())
BASE = "def area(width, height):\n    total = 0\n"


def show(db, name, line, completion, outcome="accepted", when=NOW):
    spot = CursorContext(line, "    total = ", "", ("def area(width, height):",), "")
    record_shown(db, ShownCompletion(name, when, "a.py", spot, completion, "m"))
    feedback_outcomes.record_outcome(db, name, outcome)


@pytest.fixture
def git(repo):
    repo._clock = NOW - 3600
    repo.commit({"a.py": BASE})
    repo._clock = NOW + 60
    return GitRepository.discover(repo.path)


@pytest.fixture
def old_database(git, tmp_path):
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        mine(git, db)
        yield db


def hand_on(git, old_database, tmp_path):
    """A new database beside the old one, as a rebuild creates it."""
    kept = read_preserved(old_database.path)
    new = Database(tmp_path / "new.db", create=True)
    write_before_mining(new, kept)
    mine(git, new)
    write_after_mining(new, kept)
    return new


def rows(db, columns="id, outcome, final"):
    return db.query(f"SELECT {columns} FROM feedback ORDER BY id")


def completions(db):
    oids = [str(oid) for (oid,) in db.query("SELECT oid FROM commits")]
    return [
        (h.commit, h.path, h.start, h.end) for h in load_holes(db, oids) if h.kind == "completion"
    ]


def test_rebuild_keeps_feedback_examples_statistics_and_forgotten_rules(
    git, old_database, repo, tmp_path
):
    show(old_database, "kept", 2, "width * height")
    show(old_database, "refused", 2, "None", "rejected")
    repo.commit({"a.py": BASE.replace("0", "width * height + 1")})
    mine(git, old_database)
    show(old_database, "waits", 3, "width - height", when=NOW + 600)  # after the commit
    forget.forget(old_database, AUTHOR, "Bob Builder")
    forget.forget(old_database, PATH, "docs")
    assert len(completions(old_database)) == 1
    with hand_on(git, old_database, tmp_path) as new:
        assert rows(new) == rows(old_database) and len(rows(new)) == 3
        assert completions(new) == completions(old_database)
        assert (counts(new), statistics(new)) == (counts(old_database), statistics(old_database))
        assert forget.entries(new) == forget.entries(old_database) and len(forget.entries(new)) == 2
        (weight,) = feedback_store.feedback_weights(
            new, [int(str(n)) for (n,) in new.query("SELECT hole_id FROM feedback WHERE hole_id")]
        ).values()
        assert weight == feedback_store.KEPT_WEIGHT
        # Twice changes nothing.
        kept = read_preserved(old_database.path)
        write_before_mining(new, kept)
        write_after_mining(new, kept)
        assert (rows(new), counts(new)) == (rows(old_database), counts(old_database))


def test_pending_feedback_is_resolved_by_commits_the_old_database_lacked(
    git, old_database, repo, tmp_path
):
    show(old_database, "waits", 2, "width * height")
    repo.commit({"a.py": BASE + "# another line that has nothing to do with it\n"})
    mine(git, old_database)
    assert rows(old_database, "tries, hole_id") == [(1, None)]
    oid = repo.commit({"a.py": BASE.replace("0", "width * height")})
    with hand_on(git, old_database, tmp_path) as new:
        assert [commit for commit, *_ in completions(new)] == [oid]
        # Counted anew, not twice.
        assert rows(new, "tries") == [(1,)]


def test_feedback_resolved_in_a_lost_commit_becomes_pending_again(
    git, old_database, repo, tmp_path
):
    show(old_database, "kept", 2, "width * height")
    repo.commit({"a.py": BASE.replace("0", "width * height")})
    mine(git, old_database)
    repo.git("reset", "-q", "--hard", "HEAD~1")
    with hand_on(git, old_database, tmp_path) as new:
        assert rows(new, "id, hole_id, tries") == [("kept", None, 0)]
        oid = repo.commit({"a.py": BASE.replace("0", "width * height + 2")})
        mine(git, new)
        assert [commit for commit, *_ in completions(new)] == [oid]


VERSION_4 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('schema', '4');
CREATE TABLE holes (id INTEGER PRIMARY KEY, commit_oid, blob, path, language, start_byte, end_byte,
    kind);
CREATE TABLE feedback (
    id TEXT PRIMARY KEY, time INTEGER NOT NULL, path BLOB NOT NULL, line INTEGER NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, above TEXT NOT NULL, below TEXT NOT NULL,
    completion TEXT NOT NULL, model TEXT NOT NULL, adapter TEXT NOT NULL, outcome TEXT NOT NULL,
    final TEXT, tries INTEGER NOT NULL DEFAULT 0, hole_id INTEGER) WITHOUT ROWID;
CREATE TABLE feedback_days (
    day INTEGER NOT NULL, model TEXT NOT NULL, adapter TEXT NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
    edited INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, model, adapter)) WITHOUT ROWID;
"""


def test_feedback_of_version_4_is_kept_and_can_be_reported_on(git, repo, tmp_path):
    row = (b"a.py", 2, "    total = ", "", "def area(width, height):", "", "width * height")
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.executescript(VERSION_4)
        for name, outcome in (("a", "accepted"), ("s", "shown"), ("r", "rejected")):
            connection.execute(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'm', '', ?, NULL, 0, NULL)",
                (name, NOW, *row, outcome),
            )
        connection.execute(
            "INSERT INTO feedback_days VALUES (?, 'm', '', 9, 4, 1, 2)", (NOW // 86400,)
        )
    with Database(tmp_path / "new.db", create=True) as new:
        old = read_preserved(tmp_path / "old.db")
        write_before_mining(new, old)
        write_after_mining(new, old)
        found = statistics(new)
        told = [found[name] for name in ("shown", "accepted", "partial", "edited", "rejected")]
        assert told == [9, 4, 0, 1, 2] and found["by_language"][0]["language"] is None
        feedback_outcomes.record_outcome(new, "s", "partial", length=5)
        assert statistics(new)["partial"] == 1
        # Reported rejections are examples as before.
        assert {each.shown.id for each in feedback_store.reported_since(new, 0)} == {"a", "r", "s"}
        oid = repo.commit({"a.py": BASE.replace("0", "width * height")})
        mine(git, new)
        assert {commit for commit, *_ in completions(new)} == {oid}
        assert statistics(new)["characters"]["at_commit"] == {
            "characters": 5, "of": 5, "share": 1.0,
        }  # fmt: skip


def test_a_rebuild_keeps_parts_languages_latency_and_what_is_retained(
    git, old_database, repo, tmp_path
):
    spot = CursorContext(2, "    total = ", "", ("def area(width, height):",), "")
    for name, outcome, length in (("kept", "accepted", None), ("waits", "partial", 5)):
        record_shown(
            old_database,
            ShownCompletion(
                name, NOW, "a.py" if name == "kept" else "b.py", spot, "width * height", "m",
                language="python", latency_ms=80.0, automatic=True, client="lsp",
            ),
        )  # fmt: skip
        feedback_outcomes.record_outcome(old_database, name, outcome, length=length)
    repo.commit({"a.py": BASE.replace("0", "width * height")})
    mine(git, old_database)
    known = "id, language, latency_ms, automatic, client, inferred, taken, committed, kept"
    assert [row[6:] for row in rows(old_database, known)] == [(14, 14, None), (5, None, None)]
    with hand_on(git, old_database, tmp_path) as new:
        assert rows(new, known) == rows(old_database, known)
        assert statistics(new) == statistics(old_database)
        assert statistics(new)["latency_ms"]["p50"] is not None


def test_old_versions_and_damaged_databases_are_migrated_as_far_as_readable(tmp_path):
    nothing = PreservedData()
    assert read_preserved(tmp_path / "none.db") == nothing
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("CREATE TABLE meta (key, value)")
    assert read_preserved(tmp_path / "old.db") == nothing
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.executescript(
            "CREATE TABLE meta (key, value);"
            "CREATE TABLE feedback_days (day, model, adapter, shown, more);"
            "INSERT INTO feedback_days VALUES (20000, 'm', '', 7, 'what a later version notes');"
        )
    with Database(tmp_path / "new.db", create=True) as new:
        write_before_mining(new, read_preserved(tmp_path / "other.db"))
        assert new.query("SELECT day, shown, accepted FROM feedback_days") == [(20000, 7, 0)]
    (tmp_path / "torn.db").write_bytes(b"no database at all" * 100)
    assert read_preserved(tmp_path / "torn.db") is None
    with sqlite3.connect(tmp_path / "no-meta.db") as connection:
        connection.execute("CREATE TABLE other (x)")
    assert read_preserved(tmp_path / "no-meta.db") is None
