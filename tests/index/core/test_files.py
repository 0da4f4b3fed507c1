"""Files are replaced whole or not at all, locks die with their holder, errors name the remedy."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import file_lock, os_errors, replacing, write_atomically


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path, durable):
    path = tmp_path / "current"
    for data in (b"one", b"two"):
        write_atomically(path, data, durable=durable)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "current"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_asked_for_or_what_the_umask_leaves(tmp_path):
    previous = os.umask(0o027)
    try:
        write_atomically(tmp_path / "usual", b"")
        write_atomically(tmp_path / "given", b"", mode=0o755)
    finally:
        os.umask(previous)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "given")]
    assert modes == [0o640, 0o755]


def test_a_link_in_the_way_is_not_followed(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "current"
    victim.write_bytes(b"mine")
    (tmp_path / f".current.{os.getpid()}").symlink_to(victim)
    write_atomically(path, b"new")
    assert (victim.read_bytes(), path.read_bytes()) == (b"mine", b"new")


def test_a_lock_is_held_by_one_and_dies_with_its_holder(tmp_path):
    path = tmp_path / "folder" / "lock"
    code = (
        "import sys, pathlib; from git_copilot.index.core.files import file_lock\n"
        "with file_lock(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        refused = pytest.raises(CopilotError, match="a refresh is running; wait")
        with refused, file_lock(path, "a refresh is running"):
            pass
        holder.kill()
    with file_lock(path, "a refresh is running"):
        assert path.exists()


def test_who_waits_is_told_once_and_gets_the_lock(tmp_path):
    path, told, entered = tmp_path / "lock", [], threading.Event()

    def wait():
        with file_lock(path, on_wait=lambda: told.append("waiting")):
            entered.set()

    with file_lock(path, on_wait=lambda: told.append("never")):
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not entered.wait(0.2)
    waiter.join(10)
    assert entered.is_set() and told == ["waiting"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no room to write .*free some disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no room to write"),
        (OSError("library: No space left on device"), "no room to write"),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            r"cannot write .*\(Permission denied\)",
        ),
    ],
)
def test_an_error_of_the_file_system_is_one_line_with_a_remedy(tmp_path, error, message):
    with pytest.raises(CopilotError, match=message) as caught, os_errors(tmp_path / "file"):
        raise error
    assert str(tmp_path / "file") in str(caught.value)
