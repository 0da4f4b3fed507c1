"""An export appears whole or not at all, and replaces nothing unasked."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from git_copilot.assistant.export import targets
from git_copilot.assistant.export.targets import written_beside
from git_copilot.index.core.errors import CopilotError


def write(target, text="new", *, force=False):
    with written_beside(target, force=force) as path:
        path.write_text(text)


def write_folder(target, *, force=False):
    with written_beside(target, force=force) as path:
        path.mkdir()
        (path / "weights").write_text("new")


def test_files_and_folders(tmp_path):
    write(tmp_path / "a.gguf")
    write_folder(tmp_path / "folder")
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty")
    assert (tmp_path / "a.gguf").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gguf", "empty", "folder"]
    assert (tmp_path / "empty" / "weights").read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_stays_unless_forced(tmp_path, kind):
    target = tmp_path / "out"
    if kind == "folder":
        target.mkdir()
        (target / "Modelfile").write_text("old")
    elif kind == "file":
        target.write_text("old")
    else:
        (tmp_path / "elsewhere").write_text("old")
        target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CopilotError, match="is there already") as caught:
        write(target)
    assert "--force" in str(caught.value.hint)
    write(target, force=True)
    assert not target.is_symlink() and target.read_text() == "new"
    if kind == "link":
        assert (tmp_path / "elsewhere").read_text() == "old"


@pytest.mark.parametrize("inside", ["sources", ".git", "link"])
def test_a_folder_of_other_things_is_never_replaced(tmp_path, inside):
    target = tmp_path / "project"
    target.mkdir()
    (target / "Modelfile").write_text("old")
    if inside == "link":
        (target / inside).symlink_to(tmp_path)
    else:
        (target / inside).mkdir()
    with pytest.raises(CopilotError, match="is not replaced"):
        write(target, force=True)
    with pytest.raises(CopilotError, match="is not replaced"):
        write(target / ".", force=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine").write_text("old")
    with pytest.raises(CopilotError, match="is not replaced"):
        write(tmp_path / "notes", force=True)
    assert (target / "Modelfile").read_text() == (tmp_path / "notes" / "mine").read_text() == "old"


def test_a_full_disk_is_told_whatever_the_writer_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(targets.shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    with (
        pytest.raises(CopilotError, match="no room to write"),
        written_beside(tmp_path / "out") as path,
    ):
        path.mkdir()
        raise ValueError("2304 requested and 0 written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_what_failed_leaves_nothing(tmp_path, error):
    target = tmp_path / "out"
    target.write_text("old")
    told = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else CopilotError
    with pytest.raises(told), written_beside(target, force=True) as path:
        path.mkdir()
        (path / "part").write_text("x")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert target.read_text() == "old"


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(CopilotError, match="does not exist"):
        write(tmp_path / "no" / "out")
