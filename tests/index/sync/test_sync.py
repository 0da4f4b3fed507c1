"""The index shows HEAD's tree, costs the difference, and embeds no blob twice."""

from __future__ import annotations

import pytest

from git_copilot.index.core.errors import DatabaseError, NotInitialised
from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.chunking import chunk_blob
from tests.support.fakes import HashingEmbedder


@pytest.fixture
def embedder():
    return HashingEmbedder()


def open_db(repo, folder):
    folder.mkdir(exist_ok=True)
    return GitRepository.discover(repo.path), Database(folder / DATABASE_NAME, create=True)


def test_a_second_sync_has_nothing_to_do(repo, tmp_path, embedder):
    repo.commit({"a.py": "def alpha():\n    return 1\n", "logo.png": b"\x89PNG\0\0"})
    git, db = open_db(repo, tmp_path / "s")
    first = sync(git, db, embedder)
    assert (first.blobs_added, first.chunks_added, first.chunks_embedded) == (2, 1, 1)
    assert first.tree == repo.git("rev-parse", "HEAD^{tree}")
    again = sync(git, db, embedder)
    assert (again.blobs_added, again.blobs_removed, again.chunks_added, again.chunks_embedded) == (
        0, 0, 0, 0,
    )  # fmt: skip


def test_moves_and_branch_switches_embed_nothing(repo, tmp_path, embedder):
    repo.commit({"a.py": "def alpha():\n    return 1\n"})
    git, db = open_db(repo, tmp_path / "s")
    sync(git, db, embedder)
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"b.py": "def beta():\n    return 2\n"})
    sync(git, db, embedder)
    embedded = len(embedder.encoded)
    repo.git("mv", "a.py", "moved.py")
    repo.commit({})
    sync(git, db, embedder)
    repo.git("checkout", "-q", "main")
    sync(git, db, embedder)
    repo.git("checkout", "-q", "side")
    sync(git, db, embedder)
    assert len(embedder.encoded) == embedded == 2
    assert sorted(views.view_paths(db, "")) == ["b.py", "moved.py"]


def test_removed_blobs_are_counted_and_not_found(repo, tmp_path, embedder):
    repo.commit({"a.py": "def alpha():\n    return 1\n", "b.py": "def beta():\n    return 2\n"})
    git, db = open_db(repo, tmp_path / "s")
    sync(git, db, embedder)
    repo.git("rm", "-q", "a.py")
    repo.commit({})
    assert sync(git, db, embedder).blobs_removed == 1
    assert Searcher(db, "", None).search(Query("alpha", names=("alpha",)), 5, None) == []


def test_chunks_without_embedder_are_found_at_once_and_embedded_later(repo, tmp_path, embedder):
    repo.commit({"a.py": "def alpha():\n    return 1\n"})
    git, db = open_db(repo, tmp_path / "s")
    assert sync(git, db, None).chunks_embedded == 0
    assert [h.path for h in Searcher(db, "", None).search(Query("alpha"), 5, None)] == ["a.py"]
    assert sync(git, db, embedder).chunks_embedded == 1


def test_large_minified_vendored_lfs_empty_and_linked_files_are_not_indexed(
    repo, tmp_path, embedder
):
    repo.commit(
        {
            "big.py": "x = 1\n" * 200_000,
            "min.js": "var a=1;" * 2000,
            "package-lock.json": "{}\n",
            "node_modules/x/index.js": "module.exports = 1\n",
            "lfs.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "empty.py": "",
            "latin.py": "s = 'caf\xe9'\n".encode("latin-1"),
        }
    )
    (repo.path / "link.py").symlink_to("latin.py")
    repo.commit({})
    git, db = open_db(repo, tmp_path / "s")
    sync(git, db, embedder)
    indexed = "SELECT DISTINCT path FROM files f JOIN chunks c ON c.blob_id = f.blob_id"
    assert db.query(indexed) == [(b"latin.py",)]
    reasons = dict(db.query("SELECT skipped, count(*) FROM blobs GROUP BY 1"))
    assert reasons == {"large": 1, "long lines": 1, "lfs": 1, "empty": 1, None: 1}


def test_when_the_old_tree_is_gone_the_new_one_is_indexed_completely(repo, tmp_path, embedder):
    repo.commit({"a.py": "def alpha():\n    return 1\n"})
    git, db = open_db(repo, tmp_path / "s")
    sync(git, db, embedder)
    with db.transaction() as connection:
        connection.execute("UPDATE views SET tree = ?", ("1" * 40,))
    repo.git("mv", "a.py", "b.py")
    repo.commit({})
    sync(git, db, embedder)
    assert views.view_paths(db, "") == ["b.py"]


def test_worktrees_share_chunks(repo, tmp_path, embedder):
    repo.commit({"a.py": "def alpha():\n    return 1\n"})
    git, db = open_db(repo, tmp_path / "s")
    sync(git, db, embedder)
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = GitRepository.discover(tmp_path / "linked")
    report = sync(linked, db, embedder)
    assert (report.blobs_added, report.chunks_embedded) == (0, 0)
    assert views.view_paths(db, "worktrees/linked") == ["a.py"]


def test_a_missing_database_names_init(tmp_path):
    with pytest.raises(NotInitialised, match="git copilot init"):
        Database(tmp_path / DATABASE_NAME)


def test_a_damaged_database_names_rebuild(tmp_path):
    path = tmp_path / DATABASE_NAME
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(DatabaseError, match="--rebuild"):
        Database(path)


def test_a_failed_transaction_leaves_nothing(repo, tmp_path):
    _, db = open_db(repo, tmp_path / "s")
    with pytest.raises(RuntimeError), db.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES ('k', 'v')")
        raise RuntimeError
    assert db.query("SELECT value FROM meta WHERE key = 'k'") == []


class TestVectorSnapshot:
    def build(self, repo, tmp_path, embedder):
        repo.commit({f"f{i}.py": f"def name_{i}():\n    return {i}\n" for i in range(20)})
        git, db = open_db(repo, tmp_path / "s")
        sync(git, db, embedder)
        index = VectorIndex.load(db, tmp_path / "s", embedder.name, embedder.dimensions)
        index.save(tmp_path / "s")
        return git, db

    @pytest.mark.parametrize("damage", ["truncate", "garbage", "remove", "facts"])
    def test_a_damaged_snapshot_is_rebuilt_from_the_database(
        self, repo, tmp_path, embedder, damage
    ):
        _, db = self.build(repo, tmp_path, embedder)
        encoded = len(embedder.encoded)
        path = tmp_path / "s" / "vectors.faiss"
        if damage == "truncate":
            path.write_bytes(path.read_bytes()[:100])
        elif damage == "garbage":
            path.write_bytes(b"x" * path.stat().st_size)
        elif damage == "remove":
            path.unlink()
        else:
            path.with_suffix(".json").write_text("{")
        index = VectorIndex.load(db, tmp_path / "s", embedder.name, embedder.dimensions)
        assert index.size == 20
        assert len(embedder.encoded) == encoded

    def test_new_vectors_are_added_to_the_snapshot(self, repo, tmp_path, embedder):
        git, db = self.build(repo, tmp_path, embedder)
        repo.commit({"new.py": "def brand_new():\n    return 0\n"})
        sync(git, db, embedder)
        index = VectorIndex.load(db, tmp_path / "s", embedder.name, embedder.dimensions)
        assert index.size == 21
        (best, *_) = index.search(embedder.encode(["brand_new"])[0], 3)
        assert best[0] == db.scalar("SELECT max(id) FROM chunks")

    def test_search_returns_allowed_ids_only(self, repo, tmp_path, embedder):
        _, db = self.build(repo, tmp_path, embedder)
        index = VectorIndex.load(db, tmp_path / "s", embedder.name, embedder.dimensions)
        found = index.search(embedder.encode(["name"])[0], 10, [3, 5])
        assert {i for i, _ in found} <= {3, 5}
        assert index.search(embedder.encode(["name"])[0], 10, []) == []

    def test_vectors_added_late_by_another_process_are_found(self, repo, tmp_path, embedder):
        """Two processes interleave: the one that stored its chunks first embeds them last."""
        repo.commit({"early.py": "def early_bird():\n    return 1\n"})
        git, db = open_db(repo, tmp_path / "s")
        sync(git, db, None)
        with db.transaction() as connection:
            blob = views.add_blob(
                connection, ("f" * 40, "python"), 1, chunk_blob(b"x = 1\n", "python"), None
            )
            late = connection.execute("SELECT id FROM chunks WHERE blob_id = ?", (blob,)).fetchone()
            views.add_vectors(connection, embedder.name, late, embedder.encode(["x = 1"]))
        index = VectorIndex.load(db, tmp_path / "s", embedder.name, embedder.dimensions)
        assert index.size == 1
        sync(git, db, embedder)
        assert index.refresh(db) == 1 and index.size == 2

    def test_a_snapshot_of_another_database_is_ignored(self, repo, tmp_path, embedder):
        self.build(repo, tmp_path, embedder)
        for path in (tmp_path / "s").glob("copilot.db*"):
            path.unlink()
        repo.commit({f"f{i}.py": f"def other_{i}():\n    return -{i}\n" for i in range(20)})
        git, db = open_db(repo, tmp_path / "s")
        sync(git, db, embedder)
        index = VectorIndex.load(db, tmp_path / "s", embedder.name, embedder.dimensions)
        (best, *_) = index.search(embedder.encode(["def other_7():\n    return -7\n"])[0], 1)
        (text,) = db.query("SELECT text FROM chunks WHERE id = ?", (best[0],))[0]
        assert "other_7" in text
