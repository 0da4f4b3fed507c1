"""When git does not answer in time, hits are still correct, and the rest is reported as stale."""

from __future__ import annotations

import os
import time

import pytest

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.safe_open import read_inside
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search import worktree, worktree_status
from git_copilot.index.search.worktree_status import changed_among
from tests.support.opened_worktree import opened_worktree

FILES = {"a.py": "def one():\n    pass\n", "b.py": "two = 2\n", "c.py": "three = 3\n"}


@pytest.fixture
def tree(repo, tmp_path):
    repo.commit(FILES)
    with opened_worktree(repo, tmp_path) as opened:
        yield opened


def look(tree, patience=30.0, **how):
    tree.begin(**how)
    return tree.overlay(patience)


def texts(overlay):
    return {
        path: file and "".join(chunk.text for chunk in file.chunks)
        for path, file in overlay.files.items()
    }


def test_hits_are_verified_without_a_complete_git_status(repo, tree):
    look(tree)
    assert tree.current
    repo.write({"a.py": "first = 1\n", "new.py": "new = 1\n"})
    (repo.path / "b.py").unlink()
    assert texts(look(tree, 0)) == {} and not tree.current
    assert tree.recheck(["a.py", "b.py", "c.py"])
    assert texts(tree.last_overlay) == {"a.py": "first = 1\n", "b.py": None} and not tree.current
    assert not tree.recheck(["c.py"])
    # What was found stays until git has said all of it.
    repo.write({"a.py": "second = 1\n"})
    assert texts(look(tree, 0))["a.py"] == "second = 1\n"
    assert texts(look(tree)) == {"a.py": "second = 1\n", "b.py": None, "new.py": "new = 1\n"}
    assert tree.current and not tree.recheck(["c.py"])


def test_the_first_query_may_come_before_git_answers(repo, tree):
    repo.write({"a.py": "first = 1\n"})
    assert texts(look(tree, 0)) == {}
    assert tree.recheck(["a.py", "b.py"])
    assert texts(tree.last_overlay) == {"a.py": "first = 1\n"}


def test_a_skip_worktree_file_is_shown_as_committed(repo, tree):
    repo.git("sparse-checkout", "set", "--no-cone", "/*", "!b.py")
    assert not (repo.path / "b.py").exists()
    repo.git("update-index", "--assume-unchanged", "c.py")
    repo.write({"c.py": "not for git\n"})
    assert texts(look(tree)) == {} and tree.current
    look(tree, 0)
    assert not tree.recheck(["a.py", "b.py", "c.py"])


def test_changed_files_are_detected_whatever_their_names(repo):
    names = [":(top)x.py", "*.py", "d/é\n.py", "plain.py"]
    repo.commit(dict.fromkeys(names, "x = 1\n"))
    found = GitRepository.discover(repo.path)
    assert changed_among(found, names) == set() == changed_among(found, [])
    repo.write(dict.fromkeys(names[:3], "x = 2\n"))
    assert changed_among(found, names) == set(names[:3])
    assert changed_among(found, ["*.py"]) == {"*.py"}


def test_files_beyond_the_chunking_limit_are_chunked_when_shown(repo, tree, monkeypatch):
    monkeypatch.setattr(worktree, "MAX_FILES", 1)
    repo.write({"a.py": "first = 1\n", "b.py": "second = 2\n", "c.py": "third = 3\n"})
    assert texts(look(tree)) == {"a.py": "first = 1\n"} and not tree.current
    assert tree.recheck(["b.py"])
    assert (
        texts(tree.last_overlay)["b.py"] == "second = 2\n" and "c.py" not in tree.last_overlay.files
    )


def test_chunking_stops_at_the_timeout(repo, tree, monkeypatch):
    monkeypatch.setattr(worktree, "CUT_SECONDS", 0.0)
    monkeypatch.setattr(tree, "_status", Answered(tree))
    repo.write({"a.py": "first = 1\n", "b.py": "second = 2\n"})
    assert texts(look(tree, 0)) == {} and not tree.current
    assert tree.recheck(["a.py"]) and texts(tree.last_overlay) == {"a.py": "first = 1\n"}


class Answered:
    """Calls at once instead of in a thread."""

    def __init__(self, tree):
        self._status = tree._status

    def start(self, *, typing):
        self._status.start(typing=typing)

    def result(self, patience):
        return self._status.result(30)

    def close(self):
        self._status.close()


def test_while_typing_a_slow_git_is_not_asked_at_every_key(repo, tree, monkeypatch):
    monkeypatch.setattr(worktree_status, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(worktree_status, "SHARE", 1e-6)
    look(tree, typing=True)
    assert tree.current
    repo.write({"a.py": "first = 1\n"})
    assert texts(look(tree, typing=True)) == {} and not tree.current
    assert texts(look(tree)) == {"a.py": "first = 1\n"} and tree.current


def test_while_typing_a_quick_git_is_asked_at_every_key(repo, tree, monkeypatch):
    monkeypatch.setattr(worktree_status, "QUICK_SECONDS", 30.0)
    for number in range(3):
        repo.write({"a.py": f"number = {number}\n"})
        assert texts(look(tree, typing=True)) == {"a.py": f"number = {number}\n"} and tree.current


def test_when_git_fails_the_overlay_is_not_reported_as_current(repo, tree):
    (repo.git_dir / "index").write_bytes(b"no index")
    assert texts(look(tree)) == {} and not tree.current
    assert not tree.recheck(["a.py"])


def test_uncommitted_rule_files_are_obeyed(repo, tree):
    repo.commit({".copilotignore": "c.py\n"})
    repo.write({".copilotignore": "b.py\n"})
    overlay = look(tree)
    assert texts(overlay) == {".copilotignore": "b.py\n", "b.py": None, "c.py": "three = 3\n"}
    (repo.path / ".copilotignore").unlink()
    assert texts(look(tree)) == {".copilotignore": None, "c.py": "three = 3\n"}
    repo.git("checkout", "--", ".")
    repo.write({".gitattributes": "a.py -copilot\n"})
    assert texts(look(tree)) == {".gitattributes": "a.py -copilot\n", "a.py": None}


def test_no_file_is_read_through_a_link(tmp_path):
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/a").write_text("inside")
    (tmp_path / "out").write_text("outside")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in/pipe")
    read = {
        path: read_inside(tmp_path / "in", path, 4)
        for path in ("deep/a", "link", "folder/out", "../out", "pipe", "deep", "", "a\0", "/deep/a")
    }
    assert read.pop("deep/a")[0] == b"insi"
    assert set(read.values()) == {None}


def test_a_caller_that_needs_gits_answer_gets_an_error_at_the_timeout(repo, monkeypatch):
    repo.commit(FILES)
    os.mkfifo(repo.path / ".gitignore")
    monkeypatch.setattr(worktree_status, "LONGEST_SECONDS", 0.3)
    with pytest.raises(GitError, match="did not finish within"):
        worktree_status.uncommitted_paths_in_time(GitRepository.discover(repo.path))


def test_a_git_that_never_answers_does_not_block_exit(tree, repo):
    """git reads a pipe without a writer."""
    os.mkfifo(repo.path / ".gitignore")
    begun = time.monotonic()
    look(tree, 0.2)
    assert not tree.current
    pool = tree._status._pool
    tree.close()
    pool.shutdown(wait=True)  # as the interpreter does when it ends
    assert time.monotonic() - begun < 20
