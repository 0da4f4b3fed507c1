"""The server's end of one connection: the peer's identity, and lines sent before the answer."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

SEND_SECONDS = 1.0
# Well below the client's patience (client/transport.py: SILENT_SECONDS).
ALIVE_SECONDS = 2.0


class ClientLink:
    """Sends lines on a connection while a request is running. Thread-safe."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def hung_up(self) -> bool:
        """Whether the client closed its end."""
        with contextlib.suppress(OSError, ValueError):
            readable, _, _ = select.select([self._connection], [], [], 0)
            if not readable:
                return False
            return self._connection.recv(1, socket.MSG_PEEK) == b""
        return True

    def send_text(self, text: str) -> None:
        """Send the text so far as ``{"text": …}``, a line of its own before the answer."""
        self._send({"text": text})

    @contextlib.contextmanager
    def alive(self, wanted: bool) -> Iterator[None]:
        """Send a heartbeat ``{"alive": SECONDS}`` every :data:`ALIVE_SECONDS` until the context
        is left, if ``wanted``, so that the client can tell a busy server from a stuck one."""
        if not wanted:
            yield
            return
        done, begun = threading.Event(), time.monotonic()

        def tell() -> None:
            while not done.wait(ALIVE_SECONDS):
                self._send({"alive": round(time.monotonic() - begun, 1)})

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()

    def _send(self, line: dict[str, Any]) -> None:
        """Send a line. A client that does not read misses lines; one that stops in the middle of
        a line is disconnected."""
        with self._sending, contextlib.suppress(OSError, ValueError):
            if not select.select([], [self._connection], [], 0)[1]:
                return
            self._connection.settimeout(SEND_SECONDS)
            try:
                self._connection.sendall(json.dumps(line).encode() + b"\n")
            except TimeoutError:
                self._connection.shutdown(socket.SHUT_RDWR)
            finally:
                self._connection.settimeout(None)


def same_user(connection: socket.socket) -> bool:
    """The folder is private already; where the system tells who connects, check it too."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, size))
    return bool(uid == os.getuid())
