"""The console script's first stop: hands `complete` and `search` to a running server.

Imports the standard library only, so that a warm answer is not late because of imports. What
cannot be handed over goes to the full command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path

from git_copilot.assistant.core.process import calm_threads, open_standard_streams, tell_failure
from git_copilot.assistant.server.address import lock_holder, socket_path
from git_copilot.index.core.errors import USER_PROBLEM, CopilotError

TYPE_CHECKING = False  # typing takes long to import
if TYPE_CHECKING:
    from typing import TextIO

SERVED = frozenset({"complete", "search", "feedback"})
# Options that the server must not answer for: they are about this process, or open a pager.
LOCAL_OPTIONS = frozenset({"--no-server", "--help", "-h"})
# Who sets these names a repository or settings that the server does not know of.
SAYS_OTHERWISE = frozenset(
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"]
)
CONNECT_SECONDS = 2.0
# The server says every few seconds that it is at work (see connection.py), however long a model takes
# to load; it may fall silent while one large library is being linked from a slow disk.
SILENT_SECONDS = 20.0
# A server that only says that it is at work is left alone after this.
ANSWER_SECONDS = 600.0
# What needs no work is answered at once.
STATUS_SECONDS = 1.0
POLL_SECONDS = 0.02


class ServerSilent(CopilotError):
    """A server is there and does not answer: stuck, or too busy to answer in time.

    ``pid`` is its process where that is known.
    """

    def __init__(self, seconds: float) -> None:
        self.pid = lock_holder() or None
        who = f"the server (pid {self.pid})" if self.pid else "the server"
        super().__init__(
            f"{who} does not answer within {seconds:g} s", "`git copilot serve --stop` ends it"
        )


def connect(seconds: float = CONNECT_SECONDS) -> socket.socket | None:
    """A connection to the server, or ``None`` when there is none.

    :raises ServerSilent: it takes nobody in.
    """
    path = socket_path()
    try:
        facts = path.parent.lstat()
    except OSError:
        return None
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        return None
    deadline = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
            return connection
        except (BlockingIOError, TimeoutError):  # so many wait for it already
            connection.close()
        except OSError:
            connection.close()
            return None
        if time.monotonic() > deadline:
            raise ServerSilent(seconds)
        time.sleep(POLL_SECONDS)


def exchange(
    connection: socket.socket,
    request: dict[str, object],
    seconds: float = ANSWER_SECONDS,
    silent: float | None = None,
) -> dict[str, object] | None:
    """Send one request and read the answer: one JSON object each way.

    :param seconds: how long to wait for the answer.
    :param silent: how long to wait for any line; by default as long.
    :return: ``None`` when the server went away without answering.
    :raises ServerSilent: it took longer.
    """
    deadline = time.monotonic() + seconds
    bound = silent or seconds
    with connection:
        connection.settimeout(bound)
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                while True:
                    line = stream.readline()
                    if not line.endswith(b"\n"):
                        return None  # it died, perhaps in the middle of its answer
                    answer = json.loads(line)
                    if not isinstance(answer, dict):
                        return None
                    if "alive" not in answer:
                        return answer
                    if time.monotonic() > deadline:
                        bound = seconds
                        raise TimeoutError
        except ConnectionError:
            return None
        except TimeoutError:
            raise ServerSilent(bound) from None


def ask(request: dict[str, object], seconds: float) -> dict[str, object] | None:
    """The answer to what needs no work; ``None`` when no server runs.

    :raises ServerSilent: one runs and does not answer in time.
    """
    connection = connect(seconds)
    return exchange(connection, request, seconds) if connection else None


def ask_server(argv: list[str], stdin: bytes | None) -> int | None:
    """Let a running server answer; ``None`` when there is none or it declines.

    :raises ServerSilent: it does neither.
    """
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
            # What a terminal would obey is spelt out by the server, for each stream.
            "screens": [sys.stdout.isatty(), sys.stderr.isatty()],
            "colour": "NO_COLOR" not in os.environ,
            "alive": True,
        },
        silent=SILENT_SECONDS,
    )
    if answer is None or answer.get("declined"):
        return None
    with contextlib.suppress(BrokenPipeError):
        for stream, name in ((sys.stderr, "stderr"), (sys.stdout, "stdout")):
            _write(stream, str(answer.get(name, "")))
    return int(str(answer.get("exit_code", 3)))


def _write(stream: TextIO, text: str) -> None:
    """Write what the server composed: to a terminal in its encoding, else the bytes that names and
    code have. What a terminal would obey is spelt out already."""
    stream = getattr(stream, "below", stream)
    if stream.isatty():
        data = text.encode(stream.encoding, "backslashreplace")
    else:
        data = text.encode("utf-8", "surrogateescape")
    stream.buffer.write(data)
    stream.flush()


def can_be_served(argv: list[str]) -> bool:
    """Whether a server may answer: the command is one of its own, and the environment names no
    other repository."""
    return (
        not SERVED.isdisjoint(argv[:1])
        and not LOCAL_OPTIONS.intersection(argv)
        and SAYS_OTHERWISE.isdisjoint(os.environ)
        and os.environ.get("GIT_COPILOT_SERVER", "1") != "0"
    )


def reads_stdin(argv: list[str]) -> bool:
    """Whether a served command takes its text from standard input."""
    return "--stdin" in argv or (argv[:1] == ["feedback"] and ("-" in argv or "--final=-" in argv))


def wait_for_server(seconds: float) -> int | None:
    """The pid of the server that answers within ``seconds``: of several that start at the same
    time only one stays."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(ServerSilent):
            answer = ask({"op": "status"}, left)
            if answer is not None:
                return int(str(answer["pid"]))
        time.sleep(POLL_SECONDS)
    return None


def ask_for(argv: list[str]) -> tuple[int | None, bytes | None]:
    """Have a running server answer a command line.

    :return: the exit code, or ``None`` where this process must do the work; and standard input as
        far as it was read.
    """
    stdin: bytes | None = None
    open_standard_streams()
    try:
        Path.cwd()
    except FileNotFoundError:
        hint = "change to another"
        return tell_failure(argv, "the current folder is gone", hint, USER_PROBLEM), None
    try:
        if can_be_served(argv):
            if reads_stdin(argv):
                stdin = sys.stdin.buffer.read()
            code = ask_server(argv, stdin)
            if code is not None:
                return code, stdin
    except ServerSilent as exc:
        return tell_failure(argv, exc.message, exc.hint, exc.exit_code), stdin
    except OSError as exc:
        problem = f"{exc.strerror}: {exc.filename or 'output'}"
        return tell_failure(argv, problem, "check it", USER_PROBLEM), stdin
    calm_threads()
    return None, stdin
