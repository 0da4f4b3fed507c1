"""Asks the warm server over its socket, starts it where none runs, and gives a request up."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from git_copilot.assistant.client import transport
from git_copilot.index.core.errors import CopilotError

# After a start that failed, or a server that died of a request, the next start is this much later.
RETRY_SECONDS = 30.0
FORBIDDEN = CopilotError(
    "the language server needs the server, which GIT_COPILOT_SERVER=0 forbids",
    "unset it for the editor",
)


class ServerExchange:
    """One request and its reply. Whoever loses interest closes the connection, which tells the
    server to stop computing. Thread-safe."""

    def __init__(self, operation: str, request: Callable[[], dict[str, Any]]) -> None:
        """:param request: makes its JSON, which takes a while for a large document."""
        self._operation, self._request = operation, request
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self.given_up = False

    def give_up(self) -> None:
        """End the exchange: :meth:`run` returns ``None`` soon."""
        with self._lock:
            self.given_up = True
            if self._connection is not None:
                # Wakes the thread that reads; it closes the socket.
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    def run(self) -> dict[str, Any] | None:
        """The reply; ``None`` where no server runs, it went away, or this was given up.

        :raises ServerSilent: a server runs and does not answer.
        """
        if self.given_up:
            return None
        connection = transport.connect()
        if connection is None:
            return None
        told = {"op": self._operation, "request": self._request(), "alive": True}
        with self._lock:
            if self.given_up:
                connection.close()
                return None
            self._connection = connection
        try:
            return transport.exchange(connection, told, silent=transport.SILENT_SECONDS)
        except (OSError, ValueError):  # closed under the reader
            return None


class WarmServer:
    """The server of this user. Thread-safe."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._failed: tuple[float, CopilotError] | None = None
        self._process: subprocess.Popen[str] | None = None
        self.starts = 0

    def ask(self, exchange: ServerExchange, folder: Path) -> dict[str, Any] | None:
        """The reply to an exchange; a server is started where none runs.

        :param folder: a folder of the repository, whose settings a new server has.
        :return: ``None`` where the exchange was given up.
        :raises CopilotError: no server can be started, or it does not answer.
        """
        if os.environ.get("GIT_COPILOT_SERVER", "1") == "0":
            raise FORBIDDEN
        for _ in range(2):  # a server may end just before it is asked
            reply = exchange.run()
            if reply is not None or exchange.given_up:
                return reply
            self._start(folder)
        reply = exchange.run()
        if reply is None and not exchange.given_up:
            # Whatever ends servers would end the next one, which has to load the model again.
            failure = CopilotError("the server ended while it answered", "see `git copilot doctor`")
            self._failed = (time.monotonic() + RETRY_SECONDS, failure)
            raise failure
        return reply

    def close(self) -> None:
        """Stop waiting for a server that is being started."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.terminate()

    def _start(self, folder: Path) -> None:
        with self._starting:
            connection = transport.connect()
            if connection is not None:  # another thread or process was first
                connection.close()
                return
            if self._failed is not None and time.monotonic() < self._failed[0]:
                raise self._failed[1]
            self._failed = None
            self.starts += 1
            # `serve` returns when the server answers. The room that starts servers is not below
            # this one, and its process would keep our standard streams open.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "git_copilot.assistant.entry", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
            )
            try:
                _, told = self._process.communicate(timeout=2 * transport.START_SECONDS)
                if self._process.returncode == 0:
                    return
            except subprocess.TimeoutExpired:
                self._process.kill()
                told = ""
            finally:
                self._process = None
            reason = told.strip().rpartition("\n")[2].removeprefix("git-copilot: ")
            problem, _, hint = (reason or "the server did not start").partition("; ")
            failure = CopilotError(problem, hint or "see `git copilot serve --foreground`")
            self._failed = (time.monotonic() + RETRY_SECONDS, failure)
            raise failure
