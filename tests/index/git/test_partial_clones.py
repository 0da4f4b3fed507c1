"""Partial clones are read without any network access."""

from __future__ import annotations

import os
import subprocess

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.garbage_collection import collect
from git_copilot.index.sync.sync import sync
from tests.support.fakes import HashingEmbedder
from tests.support.gitrepo import GitRepo

FILES = {
    "top.py": "def top():\n    return 1\n",
    "a/x.py": "def alpha():\n    return 1\n",
    "b/y.py": "def beta():\n    return 2\n",
    "b/deep/z.py": "def gamma():\n    return 3\n",
    "b/.gitattributes": "y.py -copilot\n",
}


@pytest.fixture
def db(tmp_path):
    with Database(tmp_path / DATABASE_NAME, create=True) as database:
        yield database


@pytest.fixture
def network_trap(tmp_path, monkeypatch):
    """A transport that leaves a mark when an object is requested from it."""
    mark, folder = tmp_path / "asked", tmp_path / "bin"
    folder.mkdir()
    helper = folder / "git-remote-loud"
    helper.write_text(f"#!/bin/sh\necho asked >> '{mark}'\nexit 1\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return mark


def partial_clone(repo, path, *options):
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    repo.git("clone", "-q", *options, f"file://{repo.path}", str(path))
    clone = GitRepo(path)
    clone.git("remote", "set-url", "origin", "loud::nowhere")
    return clone


def fetch(clone, repo, *oids):
    """Fetch objects as a later checkout would."""
    for oid in oids:
        kind = repo.git("cat-file", "-t", oid)
        data = subprocess.run(
            ["git", "cat-file", kind, oid], cwd=repo.path, capture_output=True, check=True
        ).stdout
        write = ["git", "hash-object", "-w", "-t", kind, "--literally", "--stdin"]
        subprocess.run(write, cwd=clone.path, input=data, capture_output=True, check=True)


def python_files(db):
    rows = db.query(
        "SELECT path FROM files f JOIN blobs b ON b.id = blob_id WHERE skipped IS NULL"
        " AND language = 'python' ORDER BY 1"
    )
    return [path.decode() for (path,) in rows]


def test_the_test_transport_detects_network_access(repo, tmp_path, network_trap):
    repo.commit(FILES)
    clone = partial_clone(repo, tmp_path / "c", "--filter=blob:none", "--no-checkout")
    clone.git("cat-file", "-p", "HEAD:top.py", check=False)
    assert network_trap.exists()


@pytest.mark.parametrize("lazy", ["0", "1"])
def test_a_blobless_clone_is_indexed_without_fetching(
    repo, tmp_path, db, network_trap, lazy, monkeypatch
):
    """Whether or not git knows GIT_NO_LAZY_FETCH (it came with 2.45 and some security fixes)."""
    monkeypatch.setattr(
        "git_copilot.index.git.repository.git_environment",
        lambda: {**os.environ, "GIT_NO_LAZY_FETCH": lazy, "LC_ALL": "C"},
    )
    repo.commit(FILES)
    clone = partial_clone(repo, tmp_path / "c", "--filter=blob:none", "--sparse")
    git = GitRepository.discover(clone.path)
    embedder = HashingEmbedder()
    first = sync(git, db, embedder)
    assert (first.blobs_added, python_files(db)) == (1, ["top.py"])
    assert views.view_counts(db, "", embedder.name)["files"] == 1
    again = sync(git, db, embedder)
    assert (again.blobs_added, again.chunks_embedded) == (0, 0)
    collect(git, db, grace_days=0)
    assert not network_trap.exists()
    fetch(clone, repo, *(clone.git("rev-parse", f"HEAD:{p}") for p in ("a/x.py", "b/deep/z.py")))
    later = sync(git, db, embedder)
    assert (later.blobs_added, later.chunks_embedded) == (2, 2)
    assert python_files(db) == ["a/x.py", "b/deep/z.py", "top.py"]
    assert [h.path for h in Searcher(db, "", None).search(Query("gamma"), 5, None)] == [
        "b/deep/z.py"
    ]
    assert not network_trap.exists()


def test_rule_files_fetched_later_are_obeyed(repo, tmp_path, db, network_trap):
    repo.commit(FILES)
    clone = partial_clone(repo, tmp_path / "c", "--filter=blob:none", "--no-checkout")
    git = GitRepository.discover(clone.path)
    fetch(clone, repo, clone.git("rev-parse", "HEAD:b/y.py"))
    sync(git, db, None)
    assert python_files(db) == ["b/y.py"]
    fetch(clone, repo, clone.git("rev-parse", "HEAD:b/.gitattributes"))
    sync(git, db, None)
    assert python_files(db) == []
    assert not network_trap.exists()


def test_a_treeless_clone_is_indexed_without_fetching(repo, tmp_path, db, network_trap):
    repo.commit(FILES)
    clone = partial_clone(repo, tmp_path / "c", "--filter=tree:0", "--no-checkout")
    root = repo.git("rev-parse", "HEAD^{tree}")
    fetch(clone, repo, root)
    git = GitRepository.discover(clone.path)
    assert {e.path: e.mode for e in git.ls_tree("HEAD")} == {
        "a": "040000", "b": "040000", "top.py": "100644",
    }  # fmt: skip
    sync(git, db, None)
    assert python_files(db) == []
    folder = repo.git("rev-parse", "HEAD:a")
    fetch(clone, repo, folder, repo.git("rev-parse", "HEAD:a/x.py"))
    sync(git, db, None)
    assert python_files(db) == ["a/x.py"]
    assert "a" not in views.view_paths(db, "")
    assert not network_trap.exists()


def test_a_sparse_checkout_shows_the_whole_tree(repo, db):
    repo.commit(FILES)
    repo.git("sparse-checkout", "set", "a")
    assert not (repo.path / "b").exists()
    sync(GitRepository.discover(repo.path), db, None)
    assert python_files(db) == ["a/x.py", "b/deep/z.py", "top.py"]


def test_a_sha256_partial_clone_is_indexed(tmp_path, db):
    repo = GitRepo.init(tmp_path / "r", "--object-format=sha256")
    repo.commit(FILES)
    git = GitRepository.discover(repo.path)
    embedder = HashingEmbedder()
    sync(git, db, embedder)
    repo.commit({"a/x.py": "def alpha():\n    return 10\n"})
    assert sync(git, db, embedder).chunks_embedded == 1
    assert python_files(db) == ["a/x.py", "b/deep/z.py", "top.py"]
    assert {len(str(oid)) for (oid,) in db.query("SELECT oid FROM blobs")} == {64}
    clone = partial_clone(repo, tmp_path / "c", "--filter=blob:none", "--no-checkout")
    partial = GitRepository.discover(clone.path)
    assert partial.blob_sizes(e.oid for e in partial.ls_tree("HEAD")) == {}


def test_links_submodules_and_lfs_pointers_are_not_indexed(repo, tmp_path, db):
    inner = GitRepo.init(tmp_path / "inner")
    inner.commit({"i.py": "def inner():\n    return 1\n"})
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    repo.commit({"a.py": "def alpha():\n    return 1\n", "big.py": pointer})
    (repo.path / "link.py").symlink_to("a.py")
    repo.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "sub"
    )
    repo.commit({})
    git = GitRepository.discover(repo.path)
    sync(git, db, None)
    assert python_files(db) == ["a.py"]
    (repo.path / "a.py").chmod(0o755)
    repo.commit({})
    report = sync(git, db, None)
    assert (report.blobs_added, python_files(db)) == (0, ["a.py"])
    (repo.path / "a.py").unlink()
    (repo.path / "a.py").symlink_to("big.py")
    repo.commit({})
    sync(git, db, None)
    assert python_files(db) == []
    (repo.path / "a.py").unlink()
    repo.commit({"a.py/inside.py": "def within():\n    return 1\n"})
    sync(git, db, None)
    assert python_files(db) == ["a.py/inside.py"]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"),
     ("utf-32-le", b"\xff\xfe\0\0"), ("utf-32-be", b"\0\0\xfe\xff"), ("latin-1", b"")],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_is_indexed_alike_in_any_encoding(repo, db, encoding, mark, end):
    text = "def größe():\n    return 'é'\n"
    repo.commit({"plain.py": text, "other.py": mark + text.replace("\n", end).encode(encoding)})
    embedder = HashingEmbedder()
    sync(GitRepository.discover(repo.path), db, embedder)
    assert db.query("SELECT DISTINCT text FROM chunks") == [(text,)]
    assert db.scalar("SELECT count(*) FROM chunks") == 2
    assert len(embedder.encoded) == 1
    assert db.query("SELECT DISTINCT name FROM symbols") == [("größe",)]
