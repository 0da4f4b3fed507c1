"""What a terminal receives from a stream of this process, or from a command."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import select
import time

from git_copilot.assistant.core.terminal import Stream

# Our own: colours, and the progress bar's way to the start of its line.
OWN = re.compile(r"\x1b\[[0-9;]*m|\r\x1b\[K")
# What a terminal obeys, or hides; tabs and line ends aside.
HOSTILE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2028\u2029]"
)


def as_on_terminal(text: str, *, colour: bool = True) -> str:
    """``text`` as our stream sends it to a terminal."""
    below = io.StringIO()
    Stream(below, screen=True, colour=colour).write(text)
    return below.getvalue()


def run_on_terminal(command, cwd, *, stdout_too=True, seconds=60, **env):
    """Run a command on a terminal (stderr, and stdout too); its output and the exit code."""
    main, side = pty.openpty()
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        os.setsid()
        os.chdir(cwd)
        for number in (1, 2) if stdout_too else (2,):
            os.dup2(side, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if not stdout_too:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", **env})
    os.close(side)
    got, deadline = b"", time.monotonic() + seconds
    with contextlib.suppress(OSError):  # EIO: nobody holds the other side any more
        while select.select([main], [], [], max(0, deadline - time.monotonic()))[0]:
            data = os.read(main, 65536)
            if not data:
                break
            got += data
    os.close(main)
    _, status = os.waitpid(pid, 0)
    text = got.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return text, os.waitstatus_to_exitcode(status)


def unsafe_characters(text: str) -> list[str]:
    """Characters of a terminal's output that are neither plain text nor our own sequences."""
    return HOSTILE.findall(OWN.sub("", text))
