"""Runs our commands in a repository and reports what they did to the machine.

With strace every process, connection and write is seen, whoever made it. Without it (a machine that
has none, or forbids it) git's own trace names the processes that git started; connections and
writes are then seen only where they reach the canaries of :class:`hostile.place.Place`.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.driver import MARKER

DRIVER = Path(__file__).with_name("driver.py")
CALLS = (
    "execve,connect,openat,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "symlink,symlinkat,link,linkat,truncate,chmod,fchmodat"
)
_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (.*)")
_TEXT = re.compile(r'(?:(AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_WRITES = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)")


@dataclass(slots=True)
class Deeds:
    """What one command did: programs started, addresses connected to, paths written to."""

    programs: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Said:
    """What one command said."""

    argv: list[str]
    code: int
    stdout: str
    stderr: str


@functools.cache
def strace() -> str | None:
    """The program, where it works: containers may forbid it."""
    found = shutil.which("strace")
    if found is None:
        return None
    done = subprocess.run(
        [found, "-f", "--seccomp-bpf", "-o", os.devnull, "true"], capture_output=True
    )
    return found if done.returncode == 0 else None


class Supervisor:
    """A driver under watch, for many repositories one after the other."""

    def __init__(self, folder: Path, *, cold: bool = False) -> None:
        """
        :param cold: let each repository's process import everything itself, in its own folder.
        """
        self._trace = folder / "trace"
        argv = [sys.executable, "-P", str(DRIVER), *(["--cold"] if cold else [])]
        environment = dict(os.environ)
        self._whole = strace() is not None
        if (program := strace()) is not None:
            watch = ["-f", "-qq", "--seccomp-bpf", "-y", "-s", "4096", "-e", "signal=none"]
            argv = [program, *watch, "-e", f"trace={CALLS}", "-o", str(self._trace), *argv]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env=environment,
            text=True,
        )
        self._read = 0

    def run(
        self, commands: list[list[str]], cwd: Path, work: Path
    ) -> tuple[list[Said], list[Deeds]]:
        """Run command lines in ``cwd`` with this process's environment; ``work`` is an empty
        folder for our own files.

        :return: for each command what it said and what it did. Where there is no strace the deeds
            hold only the programs that git started, all with the first command.
        """
        environment = {**os.environ, "GIT_COPILOT_SERVER": "0", "TMPDIR": str(work)}
        if not self._whole:
            environment["GIT_TRACE2_EVENT"] = str(work / "trace")
        task = {"commands": commands, "cwd": str(cwd), "work": str(work), "env": environment}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        status = self._process.stdout.readline()
        error = work / "error"
        assert status == "0\n", error.read_text() if error.exists() else status
        said = [Said(**each) for each in json.loads((work / "said.json").read_text("utf-8"))]
        if not self._whole:
            trace = work / "trace"
            text = trace.read_text("utf-8", "replace") if trace.exists() else ""
            return said, read_git_trace(text, len(commands))
        return said, read_trace(self._new_lines(f"{MARKER}{len(commands)}"), len(commands))

    def _new_lines(self, end: str) -> str:
        """What was traced since the last call; strace may write the end a moment later."""
        deadline = time.monotonic() + 10
        while True:
            with self._trace.open("rb") as trace:
                trace.seek(self._read)
                data = trace.read()
            if f'/{end}"'.encode() in data:
                self._read += len(data)
                return data.decode("utf-8", "replace")
            assert time.monotonic() < deadline, "the trace has no end"
            time.sleep(0.05)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def read_trace(text: str, count: int) -> list[Deeds]:
    """The deeds of each of ``count`` commands, from strace's output."""
    deeds = [Deeds() for _ in range(count)]
    current, folders = -1, {}
    for line in _whole_lines(text):
        found = _LINE.match(line)
        if found is None or found[4].startswith(("-1 ENOENT", "?")):
            continue
        pid, call, arguments = found[1], found[2], found[3]
        names = []
        for kind, base, name in _TEXT.findall(arguments):
            if kind == "AT_FDCWD":
                folders[pid] = base
            names.append(str(Path(_plain(base or folders.get(pid, "/"))) / _plain(name)))
        if call == "openat" and names and Path(names[0]).name.startswith(MARKER):
            current = int(Path(names[0]).name.removeprefix(MARKER))
            if current == count:  # the end
                break
        if current < 0:
            continue
        if call == "execve" and not found[4].startswith("-1"):
            deeds[current].programs.append(names[0])
        elif call == "connect":
            deeds[current].addresses.append(arguments)
        elif call not in ("execve", "openat") or (call == "openat" and _WRITES.search(arguments)):
            # A link's first name is what it says, not what is written.
            deeds[current].written += names[1:] if call.startswith("symlink") else names
    return deeds


def _whole_lines(text: str) -> list[str]:
    """Calls that another process's line cut in two, joined again."""
    begun: dict[str, str] = {}
    lines = []
    for line in text.splitlines():
        pid = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>")
        elif (rest := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line)) is not None:
            lines.append(begun.pop(pid, f"{pid} ") + rest[1])
        else:
            lines.append(line)
    return lines


def _plain(name: str) -> str:
    """A name as strace quotes it, without the quoting."""
    return name.encode("latin-1", "replace").decode("unicode_escape") if "\\" in name else name


def read_git_trace(text: str, count: int) -> list[Deeds]:
    """The programs that git started, from its trace."""
    deeds = [Deeds() for _ in range(count)]
    for line in text.splitlines():
        event = json.loads(line)
        if event.get("event") == "child_start":
            deeds[0].programs.append(event["argv"][0])
    return deeds
