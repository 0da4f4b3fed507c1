"""Files below a folder are opened without following any link."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from git_copilot.index.core.safe_open import NotARegularFile, open_inside, resolve_links
from git_copilot.index.search.worktree import Worktree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "o.py").write_text("outside")
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c.py").write_text("inside")
    return root


def read(root: Path, path: str) -> bytes:
    with open_inside(root, path) as file:
        return file.read()


def test_regular_files_are_opened(root):
    assert read(root, "a/b/c.py") == b"inside"
    (root.parent / "way").symlink_to(root)  # how the root is reached is not its files' doing
    assert read(root.parent / "way", "a/b/c.py") == b"inside"


@pytest.mark.parametrize("path", ["../outside/o.py", "/etc/passwd", "a//b/c.py", "a/./b/c.py", ""])
def test_absolute_or_parent_paths_are_refused(root, path):
    with pytest.raises(NotARegularFile):
        read(root, path)


def test_a_path_with_a_link_as_any_component_is_refused(root):
    (root / "file.py").symlink_to("../outside/o.py")
    (root / "inner.py").symlink_to("a/b/c.py")
    (root / "folder").symlink_to("../outside")
    (root / "self").symlink_to(".")
    for path in ("file.py", "inner.py", "folder/o.py", "self/a/b/c.py"):
        with pytest.raises(OSError):
            read(root, path)


def test_a_folder_swapped_for_a_link_during_opening_is_not_followed(root, monkeypatch):
    """Between the look at the name and the opening of the file."""
    real, swapped = os.open, []

    def swap(name, *args, **more):
        if name == "b" and not swapped:
            swapped.append(name)
            (root / "a" / "b").rename(root / "a" / "old")
            (root / "a" / "b").symlink_to(root.parent / "outside")
            (root.parent / "outside" / "c.py").write_text("outside")
        return real(name, *args, **more)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(OSError):
        read(root, "a/b/c.py")
    assert swapped


def test_non_files_are_refused_without_blocking(root):
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "sock"))
    for name in ("fifo", "sock"):
        with pytest.raises(NotARegularFile, match="not a regular file"):
            read(root, name)
    with pytest.raises(IsADirectoryError):
        read(root, "a")
    with pytest.raises(FileNotFoundError):
        read(root, "a/none.py")
    before = len(list(Path("/dev/fd").iterdir()))
    for name in ("fifo", "a", "a/none.py"):
        with pytest.raises(OSError):
            read(root, name)
    assert len(list(Path("/dev/fd").iterdir())) == before  # nothing stays open


def test_links_are_resolved_as_the_system_does(root):
    (root / "one").symlink_to("a/two")
    (root / "a" / "two").symlink_to("../a/b")
    way = resolve_links(root / "one" / ".." / "b" / "c.py")
    assert way.target == (root / "one" / ".." / "b" / "c.py").resolve()
    assert way.links == (root / "one", root / "a" / "two")
    assert resolve_links(root / "none" / "x.py").target == root / "none" / "x.py"
    (root / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        resolve_links(root / "loop" / "x")


def test_a_tracked_folder_replaced_by_a_link_reveals_nothing_of_its_target(opened_repo, repo):
    found, db = opened_repo
    repo.commit({"real/o.py": "def inside(): pass\n"})
    outside = repo.path.parent / "outside"
    outside.mkdir()
    (outside / "o.py").write_text("def outside(): pass\n")
    (repo.path / "real" / "o.py").unlink()
    (repo.path / "real").rmdir()
    (repo.path / "real").symlink_to(outside)
    with closing(Worktree(found, db)) as tree:
        tree.begin()
        assert tree.overlay().files["real/o.py"] is None
