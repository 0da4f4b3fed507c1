"""`index gc`: unreferenced data goes, data of worktrees and recent branches stays."""

from __future__ import annotations

import time

import pytest

from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store import views
from git_copilot.index.store.contents import add_vectors
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.garbage_collection import DAY, collect, is_due, shrink
from git_copilot.index.sync.plan import plan_sync
from git_copilot.index.sync.sync import sync
from tests.support.fakes import HashingEmbedder


@pytest.fixture
def embedder():
    return HashingEmbedder()


@pytest.fixture
def db(tmp_path):
    with Database(tmp_path / DATABASE_NAME, create=True) as database:
        yield database


def age(db, days):
    """Make hidden blobs and temporary views older."""
    with db.transaction() as connection:
        connection.execute("UPDATE blobs SET hidden_at = hidden_at - ?", (days * DAY,))
        connection.execute("UPDATE views SET seen = seen - ?", (days * DAY,))


def stored(db):
    return {
        text.split("(")[0].removeprefix("def ") for (text,) in db.query("SELECT text FROM chunks")
    }


def source(name):
    return f"def {name}():\n    return 1\n"


def test_unreferenced_blobs_are_deleted_after_the_grace_period(repo, db, embedder):
    repo.commit({"a.py": source("old"), "b.py": source("kept")})
    git = GitRepository.discover(repo.path)
    sync(git, db, embedder)
    repo.commit({"a.py": source("new")})
    sync(git, db, embedder)
    assert collect(git, db).blobs == 0
    age(db, 15)
    plan = collect(git, db, dry_run=True)
    assert (plan.blobs, plan.chunks, plan.vectors) == (1, 1, 1) and "old" in stored(db)
    done = collect(git, db)
    assert (done.blobs, done.chunks, done.vectors) == (1, 1, 1)
    assert stored(db) == {"new", "kept"}
    assert db.query("PRAGMA foreign_key_check") == []
    db.connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('integrity-check')")
    assert db.scalar("SELECT count(*) FROM vectors") == 2


def test_blobs_of_recent_branches_and_worktrees_are_kept(repo, db, embedder, tmp_path):
    now = f"{int(time.time())} +0000"
    repo.commit({"a.py": source("main")})
    git = GitRepository.discover(repo.path)
    for branch, date in (("recent", now), ("ancient", "1600000000 +0000")):
        repo.git("checkout", "-q", "-b", branch, "main")
        repo.commit({"a.py": source(branch)}, GIT_COMMITTER_DATE=date)
        sync(git, db, embedder)
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"), "main")
    linked = GitRepository.discover(tmp_path / "linked")
    (tmp_path / "linked" / "w.py").write_text(source("worktree"))
    repo.git("-C", str(tmp_path / "linked"), "add", "-A")
    repo.git("-C", str(tmp_path / "linked"), "commit", "-q", "-m", "w")
    sync(linked, db, embedder)
    repo.git("checkout", "-q", "main")
    sync(git, db, embedder)
    age(db, 1000)
    collect(git, db)
    assert stored(db) == {"main", "recent", "worktree"}
    repo.git("worktree", "remove", "--force", str(tmp_path / "linked"))
    assert collect(git, db).views == 1
    age(db, 1000)
    collect(git, db)
    assert stored(db) == {"main", "recent"}
    encoded = len(embedder.encoded)
    repo.git("checkout", "-q", "recent")
    sync(git, db, embedder)
    assert len(embedder.encoded) == encoded


def test_temporary_views_are_deleted_after_a_day_without_use(repo, db, embedder):
    first = repo.commit({"a.py": source("first")})
    repo.commit({"a.py": source("second")})
    git = GitRepository.discover(repo.path)
    sync(git, db, embedder)
    tree = repo.git("rev-parse", f"{first}^{{tree}}")
    for view in (f"at/{tree}", "train/1"):
        sync(git, db, embedder, view=view, tree=tree)
    assert collect(git, db, grace_days=0).views == 0
    age(db, 2)
    sync(git, db, embedder, view="train/1", tree=tree)  # in use: nothing to do, and it is noted
    assert collect(git, db, grace_days=0).views == 1
    assert views.view_names(db, "") == ["", "train/1"] and "first" in stored(db)
    age(db, 2)
    collect(git, db, grace_days=0)
    assert views.view_names(db, "") == [""] and stored(db) == {"second"}


def test_deleted_chunk_ids_held_by_a_server_find_nothing(repo, db, embedder, tmp_path):
    """A server keeps vectors in memory while the worker collects."""
    repo.commit({"a.py": source("kept"), "b.py": source("going")})
    git = GitRepository.discover(repo.path)
    sync(git, db, embedder)
    held = VectorIndex.load(db, tmp_path, embedder.name, embedder.dimensions)
    searcher = Searcher(db, "", held)
    repo.git("rm", "-q", "b.py")
    repo.commit({})
    sync(git, db, embedder)
    collect(git, db, grace_days=0)
    repo.commit({"c.py": source("coming")})
    sync(git, db, embedder)
    for name in ("kept", "going", "coming"):
        found = {h.path for h in searcher.search(Query(f"def {name}"), 5, embedder)}
        assert found == {"a.py", "c.py"}
    assert db.scalar("SELECT max(id) FROM chunks") == 3  # 2 was given away once
    held.save(tmp_path, db)
    assert VectorIndex.load(db, tmp_path, embedder.name, embedder.dimensions).size == 2


def test_a_sync_planned_before_collection_plans_again(repo, db, embedder, monkeypatch):
    """Blobs that the plan relies on are collected before it is applied."""
    first = repo.commit({"a.py": source("first")})
    repo.commit({"a.py": source("second")})
    git = GitRepository.discover(repo.path)
    sync(git, db, embedder)
    sync(git, db, embedder, tree=repo.git("rev-parse", f"{first}^{{tree}}"))
    calls = []
    original = views.all_blobs_exist

    def collect_first(connection, blob_ids):
        if not calls:
            calls.append(1)
            connection.execute("DELETE FROM blobs WHERE hidden_at IS NOT NULL")
        return original(connection, blob_ids)

    monkeypatch.setattr(views, "all_blobs_exist", collect_first)
    sync(git, db, embedder)
    assert calls and stored(db) >= {"second"}
    assert plan_sync(git, db, "", git.head_tree_or_empty()).added == ()


def test_vectors_of_an_old_embedder_are_deleted_once_the_new_one_is_complete(repo, db, embedder):
    repo.commit({"a.py": source("a"), "b.py": source("b")})
    git = GitRepository.discover(repo.path)
    sync(git, db, embedder)
    other = HashingEmbedder()
    other.name = "other"
    assert collect(git, db, embedder="other").vectors == 0
    sync(git, db, other)
    assert len(other.encoded) == 2
    assert collect(git, db, embedder="other").vectors == 2
    assert db.query("SELECT DISTINCT embedder FROM vectors") == [("other",)]
    sync(git, db, other)
    assert len(other.encoded) == 2


def test_lost_vectors_are_embedded_again(repo, db, embedder):
    repo.commit({"a.py": source("a"), "b.py": source("b")})
    git = GitRepository.discover(repo.path)
    sync(git, db, embedder)
    with db.transaction() as connection:
        connection.execute("DELETE FROM vectors WHERE chunk_id = 1")
    assert sync(git, db, embedder).chunks_embedded == 1
    with db.transaction() as connection:  # of a chunk that is gone: nothing happens
        add_vectors(connection, embedder.name, [99], embedder.encode(["x"]))
    assert db.scalar("SELECT count(*) FROM vectors") == 2


def test_collection_is_due_once_a_day(repo, db):
    git = GitRepository.discover(repo.path)
    assert is_due(db)
    collect(git, db)
    assert not is_due(db)
    assert is_due(db, days=-1)


def test_shrinking_returns_disk_space(repo, db, embedder):
    repo.commit({f"f{i}.py": source(f"name_{i}") + "# words\n" * 200 for i in range(60)})
    git = GitRepository.discover(repo.path)
    sync(git, db, embedder)
    repo.git("rm", "-q", "-r", ".")
    repo.commit({"a.py": source("left")})
    sync(git, db, embedder)
    collect(git, db, grace_days=0)
    before = db.scalar("PRAGMA page_count") * db.scalar("PRAGMA page_size")
    assert shrink(db) > before // 3
    assert db.path.stat().st_size < before * 2 // 3
    assert shrink(db) == 0
    assert [h.path for h in Searcher(db, "", None).search(Query("left"), 5, None)] == ["a.py"]


def test_collection_works_in_unborn_and_bare_repositories(repo, db, tmp_path, embedder):
    collect(GitRepository.discover(repo.path), db)
    repo.commit({"a.py": source("a")})
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    bare = GitRepository.discover(tmp_path / "bare.git")
    sync(bare, db, embedder)
    assert collect(bare, db, grace_days=0).blobs == 0
