"""The supervisor detects what it is meant to detect; without that the suite proves nothing."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.hostile import supervise
from tests.hostile.supervise import read_git_trace, read_trace, strace

DEEDS = """
import os, socket, subprocess, sys
from pathlib import Path
work = Path(sys.argv[1])
(work / "command-0").touch()
Path("plain\\x1b.txt").write_text("x")
(work / "command-1").touch()
os.rename("plain\\x1b.txt", "renamed"); os.mkdir("made"); os.symlink("/etc", "made/link")
subprocess.run(["/bin/sh", "-c", "echo x > by-a-child; true"])
(work / "command-2").touch()
with socket.socket() as s:
    s.connect(("127.0.0.1", int(sys.argv[2])))
open("/dev/null").read(); Path("renamed").read_text()
"""


@pytest.mark.skipif(strace() is None, reason="strace is not installed or not permitted here")
def test_programs_connections_and_writes_are_seen_with_the_command_that_did_them(tmp_path):
    work, place = tmp_path / "work", tmp_path / "place"
    work.mkdir()
    place.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        watch = ["-f", "-qq", "--seccomp-bpf", "-y", "-s", "4096", "-e", "signal=none"]
        subprocess.run(
            [strace(), *watch, "-e", f"trace={supervise.CALLS}", "-o", work / "trace",
             sys.executable, "-c", DEEDS, work, port],
            cwd=place, check=True,
        )  # fmt: skip
    first, second, third = read_trace((work / "trace").read_text(), 3)
    own = f"{work}/command-"
    assert [w for w in first.written if not w.startswith(own)] == [f"{place}/plain\x1b.txt"]
    wanted = {"plain\x1b.txt", "renamed", "made", "made/link", "by-a-child"}
    assert {w for w in second.written if w.startswith(str(place))} == {
        f"{place}/{w}" for w in wanted
    }
    assert "/etc" not in second.written
    assert any(p.endswith("/sh") for p in second.programs)
    assert [w for w in third.written if w.startswith(str(place))] == []
    assert len(third.addresses) == 1 and port in third.addresses[0]


def test_an_interleaved_system_call_is_read_completely():
    text = (
        '1 openat(AT_FDCWD</w>, "/w/command-0", O_WRONLY|O_CREAT, 0666) = 3</w/command-0>\n'
        '1 execve("/bin/a", ["a"], 0x1 /* 2 vars */ <unfinished ...>\n'
        "2 connect(5<socket:[1]>, {sa_family=AF_INET, sin_port=htons(9)}, 16) = 0\n"
        "1 <... execve resumed>) = 0\n"
    )
    (deeds,) = read_trace(text, 1)
    assert deeds.programs == ["/bin/a"]
    assert len(deeds.addresses) == 1


def test_gits_trace_names_the_programs_it_starts(tmp_path, repo, monkeypatch):
    repo.commit({"a.py": "x = 1\n"})
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(tmp_path / "trace"))
    repo.git("-c", "alias.x=!true", "x")
    (deeds,) = read_git_trace((tmp_path / "trace").read_text(), 1)
    assert "true" in " ".join(deeds.programs)
