"""Uncommitted files are laid over the index: seen at once, never stored."""

from __future__ import annotations

import os

import pytest

from git_copilot.index.git.objects import blob_id
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search import worktree
from git_copilot.index.search.overlay import chunk_uncommitted
from git_copilot.index.search.worktree import Worktree
from git_copilot.index.search.worktree_status import uncommitted_paths
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from tests.support.gitrepo import GitRepo
from tests.support.opened_worktree import opened_worktree

FILES = {"a.py": "def one():\n    pass\n", "b.py": "two = 2\n", "c.py": "three = 3\n"}


class Asking(Worktree):
    """Waits for git without a time limit."""

    def overlay(self, patience=30.0):
        self.begin()
        return super().overlay(patience)


@pytest.fixture
def tree(repo, tmp_path):
    """A repository with three files and its worktree."""
    repo.commit(FILES)
    with opened_worktree(repo, tmp_path, Asking) as opened:
        yield opened


def test_a_clean_worktree_has_an_empty_overlay(tree):
    assert dict(tree.overlay().files) == {}


def test_the_overlay_has_the_files_of_git_status(repo, tree):
    repo.write({"a.py": "def one():\n    return 1\n", "nëw\n.py": "new = 1\n", "x.log": "no\n"})
    repo.write({".gitignore": "*.log\n", "d/staged.py": "staged = 1\n"})
    repo.git("add", "d/staged.py")
    (repo.path / "b.py").unlink()
    files = tree.overlay().files
    assert list(files) == ["a.py", "b.py", "d/staged.py", ".gitignore", "nëw\n.py"]
    assert files["b.py"] is None
    assert files["a.py"].blob == repo.git("hash-object", "a.py")
    assert [s.name for c in files["a.py"].chunks for s in c.symbols] == ["one"]


def test_a_file_changed_again_is_read_again(repo, tree):
    repo.write({"a.py": "first = 1\n"})
    assert tree.overlay().files["a.py"].chunks[0].text == "first = 1\n"
    kept = tree.overlay()
    assert tree.overlay() is kept
    repo.write({"a.py": "second = 2\n"})
    assert tree.overlay().files["a.py"].chunks[0].text == "second = 2\n"
    repo.commit({})
    assert dict(tree.overlay().files) == {}


def test_links_binaries_and_huge_files_are_hidden(repo, tree):
    (repo.path / "a.py").unlink()
    (repo.path / "a.py").symlink_to("/etc/passwd")
    repo.write({"b.py": b"\0binary", "c.py": "x" * 600_000})
    files = tree.overlay().files
    assert files["a.py"] is None and files["c.py"] is None
    assert files["b.py"].chunks == ()


def test_files_excluded_by_rules_are_not_in_the_overlay(repo, tree):
    repo.commit({".copilotignore": "private/\n", ".gitattributes": "b.py copilot=false\n"})
    repo.write({"private/x.py": "x = 1\n", "b.py": "two = 3\n", "a.py": "one = 2\n"})
    assert list(tree.overlay().files) == ["a.py"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_uncommitted_file_is_chunked_as_if_committed(repo, tree, tmp_path, encoding, end):
    data = f"def größe():{end}    return 'é'{end}".encode(encoding)
    repo.write({"new.py": data})
    (loose,) = tree.overlay().files["new.py"].chunks
    repo.commit({})
    found = GitRepository.discover(repo.path)
    with Database(tmp_path / DATABASE_NAME) as db:
        sync(found, db, None)
        rows = db.query(
            "SELECT c.text, c.start_byte, c.end_byte, s.name FROM chunks c JOIN symbols s"
            " ON s.chunk_id = c.id WHERE s.name = 'größe'"
        )
    name = loose.symbols[0].name
    assert rows == [(loose.text, loose.start_byte, loose.end_byte, name)]


def test_the_number_of_overlaid_files_is_bounded(repo, tree, monkeypatch):
    monkeypatch.setattr(worktree, "MAX_FILES", 2)
    repo.write({"0.py": "new = 1\n", "b.py": "changed = 1\n", "c.py": "changed = 1\n"})
    assert list(tree.overlay().files) == ["b.py", "c.py"] and not tree.current
    (repo.path / "0.py").unlink()
    assert list(tree.overlay().files) == ["b.py", "c.py"] and tree.current


def test_gits_index_file_is_not_written(repo, tree):
    """`git status` would write refreshed times into it."""
    os.utime(repo.path / "a.py", ns=(1, 1))
    before = (repo.git_dir / "index").read_bytes()
    assert uncommitted_paths(GitRepository.discover(repo.path)) == []
    assert (repo.git_dir / "index").read_bytes() == before


def test_unborn_branches_and_bare_repositories_have_an_overlay(tmp_path):
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        unborn = GitRepo.init(tmp_path / "unborn")
        unborn.write({"a.py": "a = 1\n"})
        opened_repo = Asking(GitRepository.discover(unborn.path), db)
        assert list(opened_repo.overlay().files) == ["a.py"]
        opened_repo.close()
        bare = GitRepo.init(tmp_path / "bare", "--bare")
        assert dict(Asking(GitRepository.discover(bare.path), db).overlay().files) == {}


def test_secret_lines_are_not_in_the_overlay():
    key = "AKIA" + "Z7QF3MBX2KLW9TRD"
    (chunk,) = chunk_uncommitted("a.py", f"name = 1\naws_key = '{key}'\n".encode()).chunks
    assert "name" in chunk.text and key not in chunk.text


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_blob_ids_equal_those_of_git(tmp_path, object_format):
    repo = GitRepo.init(tmp_path / "r", f"--object-format={object_format}")
    for text in ("", "x = 1\n", "größe\r\n"):
        repo.write({"a.py": text})
        assert blob_id(text.encode(), object_format) == repo.git("hash-object", "a.py")
