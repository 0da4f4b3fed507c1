"""The inside of the sandbox: reads a token and a program, shuts itself in, runs the program.

Started by sandbox.py with the limits as arguments: seconds of processor, seconds of wall clock,
megabytes of memory, kilobytes of a file. Writes the token when the program has reached its end.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NOBODY = 65534
# Audit events (https://docs.python.org/3/library/audit_events.html) that a solution never needs.
REFUSED = ("os.", "socket.", "subprocess.", "ctypes.", "shutil.", "pty.", "signal.", "resource.",
           "fcntl.", "sqlite3.", "syslog.", "cpython.", "sys._debugmallocstats")  # fmt: skip
# Reading folders: what imports do.
HARMLESS = frozenset({"os.listdir", "os.scandir", "os.walk"})
# Root's Python may lie where only root can read: what solutions import is loaded beforehand.
IMPORTS = ("bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools",
           "hashlib", "heapq", "itertools", "math", "operator", "random", "re", "statistics",
           "string", "typing")  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def leave_network(flags: int) -> None:
    """Move into new namespaces; a kernel that refuses leaves the rest to the audit hook."""
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).unshare(flags)
    except (ImportError, OSError, AttributeError):
        return


def drop_rights() -> None:
    """No network, and no more rights than any user has."""
    if os.geteuid() == 0:
        for name in IMPORTS:
            importlib.import_module(name)
        leave_network(CLONE_NEWNET)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    else:
        leave_network(CLONE_NEWUSER | CLONE_NEWNET)


def limit(cpu_seconds: int, wall_seconds: float, memory_mb: int, file_kb: int) -> None:
    """Limits that the program cannot raise again."""
    for name, soft, hard in (
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1),
        (resource.RLIMIT_AS, memory_mb << 20, memory_mb << 20),
        (resource.RLIMIT_FSIZE, file_kb << 10, file_kb << 10),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, 32, 32),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(name, (soft, hard))
    # Should the parent be killed, this ends a program that sleeps.
    signal.alarm(int(wall_seconds) + 2)


def refuse_by_audit(folder: str) -> None:
    """Refuse sockets, processes, foreign libraries, and writing outside ``folder``."""
    realpath, inside = os.path.realpath, folder.rstrip("/") + "/"

    def check(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & WRITING:
                return
            if isinstance(path, str | bytes) and realpath(os.fsdecode(path)).startswith(inside):
                return
        elif event in HARMLESS or not event.startswith(REFUSED):
            return
        raise PermissionError(f"refused in the sandbox: {event}")

    sys.addaudithook(check)


def main() -> None:
    cpu_seconds, wall_seconds, memory_mb, file_kb = sys.argv[1:]
    token, _, program = sys.stdin.buffer.read().partition(b"\n")
    answer = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    sys.argv = ["program"]
    # The program may bind these names to something else.
    write, leave = os.write, os._exit
    drop_rights()
    limit(int(cpu_seconds), float(wall_seconds), int(memory_mb), int(file_kb))
    refuse_by_audit(os.path.realpath(os.curdir))
    try:
        exec(compile(program, "program", "exec"), {"__name__": "program"})  # noqa: S102
    # Not only `Exception`: a program that leaves early by SystemExit has not passed.
    except BaseException:  # noqa: BLE001
        leave(1)
    write(answer, token)
    leave(0)


if __name__ == "__main__":
    main()
