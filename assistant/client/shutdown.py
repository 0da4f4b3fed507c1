"""Ends the server: asks it, and where it does not listen, ends its process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from git_copilot.assistant.client import address, transport
from git_copilot.assistant.client.server_log import say_goodbye
from git_copilot.index.core.errors import CopilotError

ASK_SECONDS = 2.0
# It takes up to a second to close what it has open once it has answered.
STOP_SECONDS = 10.0
# What is sent to a process that does not stop, and how long it may take.
SIGNALS = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))


def stop_server() -> str | None:
    """Stop the running server and return what to tell, or ``None`` when none runs.

    :raises CopilotError: it neither stops nor can be ended.
    """
    answer = None
    deadline = time.monotonic() + ASK_SECONDS
    # One that has the lock and no socket yet is starting: it is asked again.
    while answer is None and time.monotonic() < deadline:
        try:
            answer = transport.ask({"op": "stop"}, ASK_SECONDS)
        except transport.ServerSilent:
            break
        if answer is None:
            if address.lock_holder() is None:
                return None
            time.sleep(transport.POLL_SECONDS)
    if answer is not None:
        pid = int(str(answer["stopped"]))
        if _gone(pid, STOP_SECONDS):
            return f"server {pid} stopped"
        return _end(pid)
    return _end(address.lock_holder() or 0)


def _end(pid: int) -> str:
    """End the process that holds the server's lock, and no other."""
    if not pid or not is_server(pid):
        lock = address.lock_path()
        raise CopilotError(
            "the server does not answer, and which process it is cannot be told",
            f"end the one that `fuser {lock}` names",
        )
    for number, seconds in SIGNALS:
        if address.lock_holder() == pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)  # one that was halted takes nothing but SIGKILL
        if _gone(pid, seconds):
            say_goodbye()
            return f"server {pid} did not stop when asked and was ended ({number.name})"
    raise CopilotError(f"server {pid} does not end, not even killed", f"look at `ps -p {pid}`")


def is_server(pid: int) -> bool:
    """Whether that process is one of ours, by its command line: a pid may have been given to
    another since it was written."""
    found = Path(f"/proc/{pid}/cmdline")
    if found.parent.parent.joinpath("self").exists():
        try:
            words = os.fsdecode(found.read_bytes()).split("\0")
        except OSError:
            return False
    else:  # not Linux
        shown = subprocess.run(
            ["ps", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False
        )
        words = shown.stdout.split()
    ours = any("git_copilot" in word or "git-copilot" in word for word in words)
    return ours and "serve" in words


def _gone(pid: int, seconds: float) -> bool:
    """Whether that server has let go of the lock within ``seconds``; another may have it."""
    deadline = time.monotonic() + seconds
    while address.lock_holder() == pid:
        if time.monotonic() > deadline:
            return False
        time.sleep(transport.POLL_SECONDS)
    return True
