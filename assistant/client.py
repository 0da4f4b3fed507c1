"""The console script's first stop: hands `complete` and `search` to a running server.

Imports the standard library only, so that a warm answer is not late because of imports. What
cannot be handed over goes to the full command line.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path

SERVED = frozenset({"complete", "search", "feedback"})
# Options that the server must not answer for: they are about this process, or open a pager.
LOCAL_OPTIONS = frozenset({"--no-server", "--help", "-h"})
CONNECT_SECONDS = 2.0
# A cold model and a first catch-up take seconds; a server that is silent longer is stuck.
ANSWER_SECONDS = 600.0
PROTOCOL = 1
MAX_SOCKET_PATH = 100  # sun_path has 104 bytes on some systems, 108 on Linux


def runtime_dir() -> Path:
    """A folder that only this user can enter, for the socket."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir():
        return Path(base) / "git-copilot"
    return Path(tempfile.gettempdir()) / f"git-copilot-{os.getuid()}"


def socket_path() -> Path:
    """The socket of the server that fits this installation, protocol, home and cache."""
    parts = (
        str(PROTOCOL),
        sys.prefix,
        str(Path(__file__).resolve().parent),
        os.environ.get("HOME", ""),
        os.environ.get("GIT_COPILOT_CACHE", ""),
        os.environ.get("XDG_CACHE_HOME", ""),
        os.environ.get("GIT_CONFIG_GLOBAL", ""),
    )
    key = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return runtime_dir() / f"{key}.sock"


def secure_runtime_dir() -> Path:
    """Make the folder, or check that nobody else owns or may enter it.

    :raises PermissionError: it is somebody else's.
    """
    folder = runtime_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "is not a private folder of yours", str(folder))
    return folder


def connect() -> socket.socket | None:
    """A connection to the server, or ``None`` when there is none."""
    path = socket_path()
    try:
        facts = path.parent.lstat()
    except OSError:
        return None
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077 or len(str(path)) > MAX_SOCKET_PATH:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    connection.settimeout(ANSWER_SECONDS)
    return connection


def exchange(connection: socket.socket, request: dict[str, object]) -> dict[str, object] | None:
    """Send one request and read the answer: one JSON object each way.

    :return: ``None`` when the server went away without answering.
    """
    with connection:
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except (ConnectionError, TimeoutError):
            return None
    if not line.endswith(b"\n"):
        return None  # it died in the middle of its answer
    answer = json.loads(line)
    return answer if isinstance(answer, dict) else None


def ask_server(argv: list[str], stdin: bytes | None) -> int | None:
    """Let a running server answer; ``None`` when there is none or it declines."""
    connection = connect()
    if connection is None:
        return None
    # An editor that kills us closes the socket, which the server takes as a cancellation.
    answer = exchange(
        connection,
        {
            "op": "run",
            "argv": argv,
            "cwd": str(Path.cwd()),
            "stdin": None if stdin is None else stdin.decode("latin-1"),
            "colour": sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        },
    )
    if answer is None or answer.get("declined"):
        return None
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(str(answer.get("stderr", "")))
        sys.stdout.buffer.write(str(answer.get("stdout", "")).encode("utf-8", "surrogateescape"))
        sys.stdout.flush()
    return int(str(answer.get("exit_code", 3)))


def can_be_served(argv: list[str]) -> bool:
    """Whether a server may answer: the command is one of its own, and the environment names no
    other repository."""
    return (
        bool(argv)
        and argv[0] in SERVED
        and not LOCAL_OPTIONS.intersection(argv)
        and not {
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_CONFIG_PARAMETERS",
            "GIT_CONFIG_COUNT",
        }.intersection(os.environ)
        and os.environ.get("GIT_COPILOT_SERVER", "1") != "0"
    )


def reads_stdin(argv: list[str]) -> bool:
    """Whether a served command takes its text from standard input."""
    return "--stdin" in argv or (argv[:1] == ["feedback"] and ("-" in argv or "--final=-" in argv))


def wait_for_server(seconds: float) -> bool:
    """Whether a server answers within ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection = connect()
        if connection is not None:
            connection.close()
            return True
        time.sleep(0.02)
    return False


def calm_threads() -> None:
    """Let OpenMP's threads sleep soon when they wait; to be called before torch is imported.

    By default they spin, which costs nothing on an idle machine; beside two busy processes a
    decoding step of eight rows then takes 1.9 s, and 0.09 s with this.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def open_standard_streams() -> None:
    """Put /dev/null where the caller closed a standard stream (``<&-``)."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def main() -> int:
    """Entry point of ``git-copilot``."""
    argv = sys.argv[1:]
    stdin: bytes | None = None
    open_standard_streams()
    try:
        Path.cwd()
    except FileNotFoundError:
        sys.stderr.write("git-copilot: the current folder is gone; change to another\n")
        return 1
    try:
        if can_be_served(argv):
            if reads_stdin(argv):
                stdin = sys.stdin.buffer.read()
            code = ask_server(argv, stdin)
            if code is not None:
                return code
    except KeyboardInterrupt:
        return 130
    except OSError as exc:
        sys.stderr.write(f"git-copilot: {exc.strerror}: {exc.filename or 'output'}; check it\n")
        return 1
    calm_threads()
    from git_copilot.assistant.cli import run

    return run(argv, stdin)


if __name__ == "__main__":
    sys.exit(main())
