"""A state folder is used only if this user's git-copilot made it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from git_copilot.index.core.errors import CopilotError, NotInitialised
from git_copilot.index.git import trust
from git_copilot.index.git.trust import (
    data_dir,
    is_trusted,
    require_trusted,
    revoke_trust,
    trust_if_new,
    trust_repository,
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The path of a state folder that does not exist yet."""
    (tmp_path / "project" / ".git").mkdir(parents=True)
    return tmp_path / "project" / ".git" / "copilot"


def test_the_data_folder_is_the_one_of_platformdirs(monkeypatch):
    assert data_dir() == platformdirs.user_data_path("git-copilot")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert data_dir() == platformdirs.user_data_path("git-copilot")


def test_a_state_folder_is_trusted_until_forgotten(state):
    assert not is_trusted(state)
    with pytest.raises(NotInitialised, match="git copilot init"):
        require_trusted(state)
    assert trust_repository(state) is None
    assert is_trusted(state)
    require_trusted(state)
    assert trust_repository(state) is None
    for path in (data_dir(), data_dir() / "known", *(data_dir() / "known").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((state / "owner").stat().st_mode) == 0o600
    revoke_trust(state)
    assert not is_trusted(state)
    assert list((data_dir() / "known").iterdir()) == []


def test_an_unpacked_state_folder_is_moved_aside(state):
    for number in range(2):
        state.mkdir()
        (state / "copilot.db").write_text("theirs")
        (state / "owner").write_text("0" * 32 + "\n")
        assert not is_trusted(state) and not trust_if_new(state)
        with pytest.raises(NotInitialised, match="--adopt"):
            require_trusted(state)
        aside = trust_repository(state)
        assert aside == state.with_name("copilot.aside" + ("-2" if number else ""))
        assert (aside / "copilot.db").read_text() == "theirs"
        assert is_trusted(state) and [path.name for path in state.iterdir()] == ["owner"]
        shutil.rmtree(state)


def test_another_repository_at_the_same_path_is_not_trusted(state):
    trust_repository(state)
    shutil.rmtree(state.parent)
    state.mkdir(parents=True)
    assert not is_trusted(state)
    (state / "owner").write_text("f" * 32 + "\n")
    assert not is_trusted(state)


def test_a_moved_repository_stays_trusted_and_a_copy_is_not(state, tmp_path):
    trust_repository(state)
    moved = tmp_path / "two\nlines"
    (tmp_path / "project").rename(moved)
    assert is_trusted(moved / ".git/copilot")
    shutil.copytree(moved, tmp_path / "copy")
    copy = tmp_path / "copy" / ".git/copilot"
    assert not is_trusted(copy)
    assert trust_repository(copy, adopt=True) is None
    assert is_trusted(copy) and is_trusted(moved / ".git/copilot")
    revoke_trust(copy)
    assert is_trusted(moved / ".git/copilot") and not is_trusted(copy)


def test_an_adopted_folder_has_no_links(state, tmp_path):
    (tmp_path / "outside").mkdir()
    state.mkdir()
    (state / "spool").symlink_to(tmp_path / "outside")
    with pytest.raises(CopilotError, match="spool"):
        trust_repository(state, adopt=True)
    assert not is_trusted(state)
    (state / "spool").unlink()
    os.mkfifo(state / "copilot.db")
    with pytest.raises(CopilotError, match=r"copilot\.db"):
        trust_repository(state, adopt=True)


def test_a_link_in_place_of_the_folder_is_moved_without_touching_its_target(state, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("mine")
    state.symlink_to(tmp_path / "outside")
    assert not is_trusted(state) and not trust_if_new(state)
    aside = trust_repository(state)
    assert aside is not None and aside.is_symlink() and not state.is_symlink()
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]


def test_a_trusted_folder_may_be_moved_and_linked(state, tmp_path):
    trust_repository(state)
    state.rename(tmp_path / "disk")
    state.symlink_to(tmp_path / "disk")
    assert is_trusted(state)


@pytest.mark.parametrize("trap", ["link", "fifo", "folder"])
def test_a_token_that_is_not_a_regular_file_is_not_trusted(state, tmp_path, trap):
    trust_repository(state)
    (tmp_path / "token").write_bytes((state / "owner").read_bytes())
    (state / "owner").unlink()
    place = state / "owner"
    if trap == "link":
        place.symlink_to(tmp_path / "token")
    elif trap == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    assert not is_trusted(state)


def test_concurrent_processes_create_trust_once(state):
    code = (
        "import sys; from pathlib import Path; from git_copilot.index.git.trust import trust_repository; "
        "assert trust_repository(Path(sys.argv[1])) is None"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, state]) for _ in range(6)]
    assert [process.wait() for process in running] == [0] * 6
    assert is_trusted(state)


def test_a_full_disk_while_recording_trust_is_a_one_line_error(state, monkeypatch):
    blocked = state.parent / "file"
    blocked.touch()
    monkeypatch.setattr(trust, "data_dir", lambda: blocked / "data")
    with pytest.raises(CopilotError, match="cannot be written") as caught:
        trust_repository(state)
    assert "XDG_DATA_HOME" in caught.value.hint and not state.exists()
