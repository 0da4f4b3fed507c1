"""Symbolic links are followed within the working tree and refused where they lead out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.write_file import write_completion
from git_copilot.index.core.errors import CopilotError, LocationError, NotARepository

TEXT = "def add(a, b):\n    return a"


@pytest.fixture
def working_tree(repo, tmp_path) -> Path:
    repo.commit({"src/real.py": TEXT, "a.py": TEXT})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "o.py").write_text(TEXT)
    return repo.path


def place(working_tree: Path, location: str, **more):
    return find_place(CompleteRequest(location, working_tree, **more))


def refused(working_tree: Path, location: str) -> str:
    with pytest.raises(LocationError) as caught:
        place(working_tree, location)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_link_out_of_the_tree_is_refused_with_both_ends_and_the_remedy(working_tree, tmp_path):
    (working_tree / "out.py").symlink_to("../outside/o.py")
    told = refused(working_tree, "out.py:2")
    assert str(working_tree.resolve() / "out.py") in told
    assert str(tmp_path.resolve() / "outside" / "o.py") in told
    assert "name the target itself" in told


@pytest.mark.parametrize("name", ["folder", "deep/folder"])
def test_a_linked_folder_outside_the_tree_is_refused(working_tree, tmp_path, name):
    (working_tree / "deep").mkdir()
    (working_tree / name).symlink_to(tmp_path / "outside")
    assert "outside the working tree" in refused(working_tree, f"{name}/o.py:2")


def test_a_link_chain_that_leaves_the_tree_and_returns_is_followed(working_tree, tmp_path):
    (tmp_path / "outside" / "back").symlink_to(working_tree / "a.py")
    (working_tree / "out").symlink_to("../outside/back")
    assert place(working_tree, "out:2").path == "a.py"


def test_a_link_into_another_repository_is_refused(working_tree, tmp_path):
    from tests.support.gitrepo import GitRepo

    other = GitRepo.init(tmp_path / "other")
    other.commit({"secret.py": TEXT})
    (working_tree / "s.py").symlink_to("../other/secret.py")
    assert "outside the working tree" in refused(working_tree, "s.py:1")
    assert place(working_tree, "../other/secret.py:1").path == "secret.py"  # named itself


def test_a_link_into_the_git_folder_is_refused(working_tree):
    (working_tree / "c").symlink_to(".git/config")
    (working_tree / "g").symlink_to(".git")
    assert ".git/config" in refused(working_tree, "c:1")
    assert ".git/config" in refused(working_tree, "g/config:1")


def test_links_within_the_tree_lead_to_the_file(working_tree):
    (working_tree / "l.py").symlink_to("src/real.py")
    (working_tree / "s").symlink_to("src")
    (working_tree / "self").symlink_to(".")
    for name in ("l.py", "s/real.py", "self/self/s/real.py"):
        found = place(working_tree, f"{name}:2")
        assert (found.path, found.file) == (
            "src/real.py",
            working_tree.resolve() / "src" / "real.py",
        )
        assert place(working_tree, f"{name}:1", text=b"x").path == "src/real.py"


def test_links_above_the_working_tree_are_followed(working_tree, tmp_path):
    (tmp_path / "way").symlink_to(working_tree)
    assert place(tmp_path, "way/a.py:1").path == "a.py"
    assert place(tmp_path / "way" / "src", "../a.py:1").path == "a.py"


def test_a_file_given_by_its_own_path_is_read_from_its_own_repository(working_tree, tmp_path):
    with pytest.raises(NotARepository):
        place(working_tree, "../outside/o.py:1")
    assert place(tmp_path / "outside", f"{working_tree}/a.py:1").path == "a.py"


def test_a_buffer_of_a_linked_file_is_taken_as_it_was_given(working_tree):
    (working_tree / "out.py").symlink_to("../outside/o.py")
    assert place(working_tree, "out.py:1", text=b"x = \n").path == "out.py"


def test_link_loops_and_non_files_are_refused(working_tree):
    (working_tree / "loop.py").symlink_to("loop.py")
    assert "cannot be followed" in refused(working_tree, "loop.py:1")
    (working_tree / "zero").symlink_to("/dev/zero")
    assert "/dev/zero" in refused(working_tree, "zero:1")
    os.mkfifo(working_tree / "fifo")
    assert "not a regular file" in refused(working_tree, "fifo:1")
    assert "is a folder" in refused(working_tree, "src:1")


def test_writing_keeps_a_link_within_the_tree(working_tree):
    (working_tree / "l.py").symlink_to("src/real.py")
    (working_tree / "src" / "real.py").chmod(0o754)
    write_completion(place(working_tree, "l.py:2"), " + b")
    assert (working_tree / "l.py").is_symlink()
    assert (working_tree / "src" / "real.py").read_text() == TEXT + " + b"
    assert (working_tree / "src" / "real.py").stat().st_mode & 0o777 == 0o754
    assert [path.name for path in (working_tree / "src").iterdir()] == ["real.py"]


@pytest.mark.parametrize("what", ["a.py", "src"])
def test_a_file_replaced_by_a_link_meanwhile_is_not_written(working_tree, tmp_path, what):
    name = "src/real.py" if what == "src" else "a.py"
    found = place(working_tree, f"{name}:2")
    (working_tree / what).rename(tmp_path / "old")
    target = tmp_path / "outside" / ("o.py" if what == "a.py" else "")
    (tmp_path / "outside" / "real.py").write_text(TEXT)
    (working_tree / what).symlink_to(target)
    with pytest.raises(CopilotError, match="cannot be written"):
        write_completion(found, " + b")
    assert {path.read_text() for path in (tmp_path / "outside").iterdir()} == {TEXT}
