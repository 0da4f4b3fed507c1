"""Runs programs that a model wrote: each in a process of its own that can do little harm.

What holds a program back (sandbox_child.py sets it up before the program's first line):

- its own empty folder, none of the user's environment, standard streams that lead nowhere;
- limits of the kernel on processor time, memory, the size of files, and processes (none more);
- a network namespace without interfaces where the kernel grants one, and another user's rights
  when root runs the benchmark;
- an audit hook that refuses sockets, processes, foreign libraries, and writing outside the folder;
- a wall-clock limit, at which the whole process group is killed.

It is made against accidents of a model, not against an attacker: for programs of unknown people
take a virtual machine.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Progress, no_progress

CHILD = Path(__file__).with_name("sandbox_child.py")
NOBODY = 65534
PASSED, FAILED, TIMEOUT = "passed", "failed", "timeout"
KNOWN_GOOD = "import hashlib, math, re\nfrom typing import List\nassert math.sqrt(4) == 2\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. The wall clock is generous: the machine may be busy."""

    cpu_seconds: int = 3
    wall_seconds: float = 30.0
    memory_mb: int = 512
    file_kb: int = 1024


def run_program(program: str, limits: Limits = Limits()) -> str:
    """Run a Python program; ``"passed"`` when it reached its end without an exception,
    ``"timeout"`` when time ran out, else ``"failed"``."""
    # Only a program that reached its end makes the child answer with this: an early exit with
    # status 0 is no pass.
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="quality-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        numbers = (limits.cpu_seconds, limits.wall_seconds, limits.memory_mb, limits.file_kb)
        process = subprocess.Popen(
            # No site packages, no .pyc files, nothing imported from the folder.
            [sys.executable, "-s", "-S", "-B", "-P", str(CHILD), *(str(n) for n in numbers)],
            cwd=folder,
            env={"PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        text = f"{token}\n{program}".encode("utf-8", "replace")
        try:
            answer, _ = process.communicate(text, timeout=limits.wall_seconds)
        except BaseException as exc:
            # The leader has not been waited for, so the group's number is still its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(exc, subprocess.TimeoutExpired):
                return TIMEOUT
            raise
    if answer == token.encode():
        return PASSED
    late = process.returncode in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL)
    return TIMEOUT if late else FAILED


def run_programs(
    programs: Sequence[str],
    *,
    limits: Limits = Limits(),
    progress: Progress = no_progress,
) -> list[str]:
    """Run programs side by side, equal ones once; the verdicts come in their order.

    :raises CopilotError: not even a program that is known to be good passes.
    """
    if run_program(KNOWN_GOOD, limits) != PASSED:
        raise CopilotError(
            "the sandbox runs no program, not even a good one",
            f"`echo | {sys.executable} -S -P {CHILD} 3 30 512 1024` may tell why",
        )
    different = list(dict.fromkeys(programs))
    verdicts: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = pool.map(lambda program: run_program(program, limits), different)
        for program, verdict in zip(different, results, strict=True):
            verdicts[program] = verdict
            progress("running tests", len(verdicts), len(different))
    return [verdicts[program] for program in programs]
