"""One request to the server of this user and its answer: lines of JSON over a Unix socket.

Standard library only: the thin client imports it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time

from git_copilot.assistant.client.address import lock_holder, socket_path
from git_copilot.index.core.errors import CopilotError

TYPE_CHECKING = False  # importing typing takes a millisecond or two
if TYPE_CHECKING:
    from collections.abc import Callable

# Whoever sets these names a repository or settings that the server does not know of.
OTHER_REPOSITORY = frozenset(
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"]
)
CONNECT_SECONDS = 2.0
# The server says every few seconds that it is at work (see server/client_link.py), however long a model takes
# to load; it may fall silent while one large library is being linked from a slow disk.
SILENT_SECONDS = 20.0
# A server that only says that it is at work is left alone after this.
ANSWER_SECONDS = 600.0
# What needs no work is answered at once.
STATUS_SECONDS = 1.0
# A server that was started must listen within this time; it loads no model before.
START_SECONDS = 20.0
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
    meanwhile: Callable[[], None] | None = None,
) -> dict[str, object] | None:
    """Send one request and read the answer: one JSON object each way.

    :param seconds: how long to wait for the answer.
    :param silent: how long to wait for any line; by default as long.
    :param meanwhile: called while the server works.
    :return: ``None`` when the server went away without answering.
    :raises ServerSilent: it took longer.
    """
    deadline = time.monotonic() + seconds
    bound = silent or seconds
    with connection:
        connection.settimeout(bound)
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            if meanwhile is not None:
                meanwhile()
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


def may_ask() -> bool:
    """Whether a server may answer for this process: the environment names no other repository,
    and does not forbid it."""
    allowed = os.environ.get("GIT_COPILOT_SERVER", "1") != "0"
    return allowed and OTHER_REPOSITORY.isdisjoint(os.environ)


def ask_for_work(
    operation: str, request: dict[str, object], meanwhile: Callable[[], None] | None = None
) -> dict[str, object] | None:
    """The reply to a request that may take long; ``None`` when no server runs or it declines.

    :param request: the JSON of a request of :mod:`git_copilot.assistant.api.requests`.
    :param meanwhile: called while the server works.
    :raises ServerSilent: one runs and does neither.
    """
    connection = connect()
    if connection is None:
        return None
    # An editor that kills us closes the socket, which the server takes as a cancellation.
    told = {"op": operation, "request": request, "alive": True}
    reply = exchange(connection, told, silent=SILENT_SECONDS, meanwhile=meanwhile)
    return None if reply is None or reply.get("declined") else reply


def ask(request: dict[str, object], seconds: float) -> dict[str, object] | None:
    """The answer to what needs no work; ``None`` when no server runs.

    :raises ServerSilent: one runs and does not answer in time.
    """
    connection = connect(seconds)
    return exchange(connection, request, seconds) if connection else None


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
