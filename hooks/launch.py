"""Starts and stops the worker. Standard library only: a hook runs this."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from git_copilot.hooks.lock import START_FILE, worker_alive, worker_starting
from git_copilot.index.core.files import write_atomically
from git_copilot.index.git.environment import REPOSITORY_VARIABLES

# Named here and in shim.sh, imported nowhere in this room: the handlers are assistant's.
WORKER_MODULE = "git_copilot.assistant.background"
INTERPRETER_FILE = "python"

# What git and virtual environments export. In the worker, which outlives the command that
# woke it, each of these names another repository, a lock that is gone, or another Python.
INHERITED_VARIABLES = (
    *REPOSITORY_VARIABLES,
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_DATE",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
)


def worker_environment() -> dict[str, str]:
    """The environment for a process that outlives the one that starts it."""
    env = {name: value for name, value in os.environ.items() if name not in INHERITED_VARIABLES}
    return {**env, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}


def recorded_interpreter(state_dir: Path) -> str | None:
    """The interpreter that `install` recorded, if it can still be run."""
    try:
        path = os.fsdecode((state_dir / INTERPRETER_FILE).read_bytes()).removesuffix("\n")
    except OSError:
        return None
    return path if path and os.access(path, os.X_OK) else None


def record_interpreter(state_dir: Path, interpreter: str) -> bool:
    """Write down who runs the worker; whether that changed anything."""
    path, line = state_dir / INTERPRETER_FILE, os.fsencode(f"{interpreter}\n")
    if path.is_file() and path.read_bytes() == line:
        return False
    write_atomically(path, line, durable=False)
    return True


def start_worker(state_dir: Path, interpreter: str | None = None) -> bool:
    """Start the worker, detached, unless there is one; whether one was started or is starting.

    Without ``interpreter`` the recorded one runs it; without a record nothing happens.
    """
    python = interpreter or recorded_interpreter(state_dir)
    if python is None or not state_dir.is_dir() or worker_alive(state_dir):
        return False
    if worker_starting(state_dir):
        return True
    command = [python, "-P", "-m", WORKER_MODULE, str(state_dir.absolute())]
    # The shell in between exits at once, so the worker is nobody's child: a server that
    # starts one does not keep a zombie that looks alive.
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec nice -n 10 "$@" & echo "$!" >{START_FILE} || :', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=state_dir,
        env=worker_environment(),
        start_new_session=True,
        check=False,
    )
    return done.returncode == 0


def stop_worker(state_dir: Path, timeout_s: float = 10.0) -> bool:
    """Ask the running worker to stop after what it can abandon; whether none is left.

    Its current job stays queued and is done again by the next worker.
    """
    deadline = time.monotonic() + timeout_s
    while (pid := worker_alive(state_dir)) is not None:
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            return False
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
