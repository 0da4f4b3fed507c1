"""Forgotten data is erased everywhere and does not return."""

from __future__ import annotations

import os
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.core.errors import DatabaseError
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store import forget, views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.forget import (
    AUTHOR,
    COMMIT,
    PATH,
    Forgotten,
    author_matches,
    path_matches,
)
from git_copilot.index.sync.sync import sync
from tests.support.fakes import HashingEmbedder

WORD = "quokkaword"  # shares no beginning with another, so the word list holds it whole
ODD = b"caf\xe9.py"
SOURCE = """\
def zebrafinch_{n}(first, second):
    total = first + second + {n}
    return total * zebrafinch_{n}(second, first)
"""


class IndexedRepo:
    """An index repository: an old path, a copy of it, two authors, an abandoned branch."""

    def __init__(self, repo, folder):
        self.repo, self.folder = repo, folder
        self.first = repo.commit({"keep.py": SOURCE.format(n=1), "old/gone.py": SOURCE.format(n=2)})
        repo.git("checkout", "-q", "-b", "side")
        repo.commit({"old/gone.py": SOURCE.format(n=3)})
        self.git = GitRepository.discover(repo.path)
        self.embedder = HashingEmbedder()
        folder.mkdir()
        self.db = Database(folder / DATABASE_NAME, create=True)
        self.sync()
        repo.git("checkout", "-q", "main")
        self.second = repo.commit(
            {"old/gone.py": SOURCE.format(n=4) + f"{WORD} = 1\n", "old/twin.py": SOURCE.format(n=1)},
            GIT_AUTHOR_NAME="Bob Builder", GIT_AUTHOR_EMAIL="bob@example.org",
        )  # fmt: skip
        self.sync()
        mine(self.git, self.db)
        VectorIndex.load(self.db, folder, self.embedder.name, 64).save(folder)

    def sync(self):
        return sync(self.git, self.db, self.embedder)

    def forget(self, kind, value):
        removed = forget.forget(self.db, kind, value)
        forget.scrub(self.db, self.folder)
        return removed

    def bytes(self):
        """Everything in the state folder."""
        return b"\0".join(p.read_bytes() for p in sorted(self.folder.iterdir()))

    def words(self):
        """The terms of the full-text index."""
        with sqlite3.connect(self.folder / DATABASE_NAME) as connection:
            connection.execute("CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, chunks_fts, row)")
            return {term for (term,) in connection.execute("SELECT term FROM v")}

    def holes(self):
        rows = self.db.query("SELECT path, commit_oid FROM holes")
        return {(os.fsdecode(path), oid) for path, oid in rows}

    def paths(self):
        return sorted(views.view_paths(self.db, ""))


@pytest.fixture
def index(repo, tmp_path):
    made = IndexedRepo(repo, tmp_path / "state")
    yield made
    made.db.close()


def test_forgetting_a_folder_removes_it_from_index_and_corpus(index):
    assert {path for path, _ in index.holes()} == {"keep.py", "old/gone.py", "old/twin.py"}
    counted = forget.forget(index.db, PATH, "old", dry_run=True)
    removed = index.forget(PATH, "old")
    assert removed == counted
    assert (removed.files, removed.chunks, removed.vectors) == (2, 1, 1)
    assert removed.commits == {index.first, index.second}
    assert index.paths() == ["keep.py"]
    assert {path for path, _ in index.holes()} == {"keep.py"}
    searcher = Searcher(index.db, "", None)
    (hit,) = searcher.search(Query("zebrafinch_4", names=("zebrafinch_4",)), 5, None)
    assert (hit.path, hit.sources) == ("keep.py", ("lexical",))


def test_a_blob_also_at_another_path_is_kept(index):
    removed = index.forget(PATH, "old/twin.py")
    assert (removed.files, removed.chunks, removed.vectors) == (1, 0, 0)
    (hit,) = Searcher(index.db, "", None).search(Query("", names=("zebrafinch_1",)), 5, None)
    assert hit.path == "keep.py"
    assert index.db.scalar("SELECT count(*) FROM vectors") > 0


def test_forgotten_text_and_vectors_are_erased_from_disk(index):
    assert (index.folder / "vectors.faiss").exists()
    vectors = {
        bytes(vector)
        for (vector,) in index.db.query(
            "SELECT vector FROM vectors v JOIN chunks c ON c.id = v.chunk_id"
            " WHERE c.text NOT LIKE '%zebrafinch_1%'"
        )
    }
    for mark in (b"zebrafinch_3", b"zebrafinch_4", *vectors):
        assert mark in index.bytes()
    assert index.bytes().count(WORD.encode()) >= 2  # in the text and in the word list
    index.db.connection.execute("PRAGMA secure_delete = OFF")  # as many builds have it
    assert {"zebrafinch_4", "zebrafinch_1"} <= index.words()
    index.forget(PATH, "old")
    stored = index.bytes()
    for mark in (b"zebrafinch_3", b"zebrafinch_4", WORD.encode(), *vectors):
        assert mark not in stored
    assert b"zebrafinch_1" in stored
    assert "zebrafinch_4" not in index.words() and "zebrafinch_1" in index.words()
    assert not list(index.folder.glob("*vectors*"))


def test_an_older_vector_snapshot_is_not_loaded(index):
    snapshot = {p: p.read_bytes() for p in index.folder.glob("vectors.*")}
    index.forget(PATH, "old")
    for path, content in snapshot.items():  # as a process would write it that read it before
        path.write_bytes(content)
    loaded = VectorIndex.load(index.db, index.folder, index.embedder.name, 64)
    assert loaded.size == index.db.scalar("SELECT count(*) FROM vectors")


def test_a_reader_of_the_old_state_notices_the_change(index):
    index.db.connection.execute("PRAGMA busy_timeout = 50")
    with sqlite3.connect(index.folder / DATABASE_NAME) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM chunks").fetchone()
        with pytest.raises(DatabaseError, match=r"repeat the command|try again"):
            index.forget(PATH, "old")
    reader.close()
    index.forget(PATH, "old")
    assert b"zebrafinch_4" not in index.bytes()


def test_a_forgotten_path_stays_out_of_later_syncs_and_mining(index):
    index.forget(PATH, "old")
    index.repo.commit({"old/gone.py": SOURCE.format(n=5), "old/new.py": SOURCE.format(n=6)})
    index.sync()
    mine(index.git, index.db)
    index.repo.git("checkout", "-q", "side")
    index.sync()
    index.repo.git("checkout", "-q", "main")
    index.sync()
    sync(index.git, index.db, None, view="at/x", tree=index.repo.git("rev-parse", "side^{tree}"))
    assert index.paths() == views.view_paths(index.db, "at/x") == ["keep.py"]
    assert {path for path, _ in index.holes()} == {"keep.py"}
    forget.scrub(index.db, index.folder)
    assert b"zebrafinch_5" not in index.bytes()


def test_forgetting_a_commit_removes_its_holes_and_keeps_its_files(index):
    removed = index.forget(COMMIT, index.second)
    assert removed.holes and removed.commits == {index.second} and removed.files == 0
    assert {oid for _, oid in index.holes()} == {index.first}
    assert index.paths() == ["keep.py", "old/gone.py", "old/twin.py"]
    index.db.connection.execute("DELETE FROM commits")
    mine(index.git, index.db)
    assert {oid for _, oid in index.holes()} == {index.first}


@pytest.mark.parametrize(
    "value", ["Bob Builder", "bob@example.org", "BOB Builder <bob@example.org>"]
)
def test_forgetting_an_author_removes_their_holes(index, value):
    removed = index.forget(AUTHOR, value)
    assert removed.commits == {index.second}
    later = index.repo.commit(
        {"more.py": SOURCE.format(n=7)}, GIT_AUTHOR_NAME="Bob Builder", GIT_AUTHOR_EMAIL="bob@example.org"
    )  # fmt: skip
    mine(index.git, index.db)
    assert {oid for _, oid in index.holes()} == {index.first}
    rows = index.db.query("SELECT status FROM commits WHERE oid IN (?, ?)", (index.second, later))
    assert rows == [("forgotten",)] * 2


def test_undo_restores_index_and_corpus(index):
    def state():
        rows = index.db.query("SELECT commit_oid, reason, count FROM left_out ORDER BY 1, 2")
        return index.paths(), load_holes_texts(), rows

    def load_holes_texts():
        found = load_holes(index.db, [index.first, index.second])
        return [(h.commit, h.path, h.start, h.end, h.kind) for h in found]

    before = state()
    for kind, value in ((PATH, "old"), (AUTHOR, "Bob Builder"), (COMMIT, index.first)):
        index.forget(kind, value)
    assert state() != before
    for entry in forget.entries(index.db):
        forget.undo(index.db, entry)
    assert forget.entries(index.db) == []
    mine(index.git, index.db)
    index.sync()
    assert state() == before


def test_undo_of_one_rule_keeps_the_others(index):
    index.forget(PATH, "old/gone.py")
    index.forget(PATH, "old/twin.py")
    forget.undo(index.db, next(e for e in forget.entries(index.db) if e.value == "old/gone.py"))
    mine(index.git, index.db)
    index.sync()
    assert index.paths() == ["keep.py", "old/gone.py"]
    assert {path for path, _ in index.holes()} == {"keep.py", "old/gone.py"}


def test_forgetting_a_path_removes_its_feedback(index):
    (hole,) = index.db.query("SELECT id FROM holes WHERE commit_oid = ?", (index.second,))[:1]
    for name, path, hole_id in (("a", b"old/x.py", None), ("b", b"keep.py", hole[0])):
        index.db.connection.execute(
            "INSERT INTO feedback (id, time, path, line, before, after, above, below, completion,"
            " model, adapter, outcome, hole_id, client, taken, committed)"
            " VALUES (?, 1, ?, 1, 'zebra_before', '', '', '',"
            " 'zebra_text', 'm', '', 'accepted', ?, 'zebra_client', 10, 10)",
            (name, path, hole_id),
        )
    assert index.forget(PATH, "old").feedback >= 1
    assert index.forget(COMMIT, index.second).feedback + index.forget(PATH, "keep.py").feedback <= 1
    assert index.db.query("SELECT id FROM feedback") == []
    for gone in (b"zebra_text", b"zebra_before", b"zebra_client"):
        assert gone not in index.bytes()


def test_a_non_utf8_name_can_be_forgotten(repo, tmp_path):
    (repo.path / os.fsdecode(ODD)).write_text(SOURCE.format(n=1))
    repo.commit({"keep.py": SOURCE.format(n=2)})
    git = GitRepository.discover(repo.path)
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        sync(git, db, None)
        assert forget.forget(db, PATH, os.fsdecode(ODD)).files == 1
        assert Forgotten.load(db).covers_path(os.fsdecode(ODD))
        (entry,) = forget.entries(db)
        forget.undo(db, entry)
        sync(git, db, None)
        assert sorted(views.view_paths(db, "")) == sorted([os.fsdecode(ODD), "keep.py"])


def test_commits_are_resolved_in_all_of_history(index):
    assert forget.commits_of(index.git, COMMIT, index.first) == {index.first}
    side = index.repo.git("rev-parse", "side")
    assert forget.commits_of(index.git, PATH, "old") == {index.first, index.second, side}
    assert forget.commits_of(index.git, PATH, "*/twin.py") == {index.second}
    assert forget.commits_of(index.git, PATH, "nowhere") == set()
    assert forget.commits_of(index.git, AUTHOR, "bob@example.org") == {index.second}


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("a/b.py", "a/b.py", True),
        ("a", "a/b/c.py", True),
        ("a", "ab.py", False),
        ("*.pem", "keys/x.pem", True),
        ("keys/*", "keys/deep/x", True),
        ("*/private", "x/private/y.py", True),
        ("a[[]1].py", "a[1].py", True),
        ("a[1].py", "a1.py", True),
        ("a.b", "axb", False),
    ],
)
def test_paths_match_as_in_git(pattern, path, wanted):
    assert path_matches(pattern, path) is wanted


@given(st.text(), st.text(), st.text())
def test_an_author_matches_by_name_address_or_both(name, address, other):
    identity = f"{name} <{address}>"
    assert author_matches(identity.upper().lower(), identity) == (
        identity.upper().lower().casefold() == identity.casefold()
    )
    assert author_matches(address, identity) or "<" in address
    if other.casefold() not in (identity.casefold(), name.casefold(), address.casefold()):
        assert not author_matches(other, identity) or " <" in name + address or ">" in address
