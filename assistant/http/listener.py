"""Serves the application with uvicorn, in a thread of the server."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from git_copilot.assistant.http.address import HttpAddress
from git_copilot.assistant.http.app import make_app
from git_copilot.assistant.http.gateway import Gateway
from git_copilot.assistant.http.library_log import LibraryLog
from git_copilot.assistant.http.token import Token

if TYPE_CHECKING:
    from git_copilot.assistant.service.hosting import ServerHost

MAX_HEADER_BYTES = 16 * 1024
# A connection that has not sent its headers by then is closed; editors keep theirs open.
HEADER_SECONDS, KEEP_ALIVE_SECONDS = 10.0, 75
MAX_CONNECTIONS = 256
CLOSE_SECONDS = 5


class HttpListener:
    """The HTTP server; opened and closed with the server of the Unix socket."""

    def __init__(self, listener: socket.socket, *, token: Token, folder: Path | None) -> None:
        """:param listener: a bound socket, as of :func:`~git_copilot.assistant.http.address.bind`.
        :param token: that clients must show.
        :param folder: where the server was started: the last folder to look in."""
        host, port = listener.getsockname()[:2]
        self._address = HttpAddress(host, port)
        self._socket, self._token, self._folder = listener, token, folder
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._gateway: Gateway | None = None
        self._library: LibraryLog | None = None

    @property
    def address(self) -> str:
        return self._address.url

    @property
    def token_file(self) -> str | None:
        return None if self._token.file is None else str(self._token.file)

    def open(self, host: ServerHost) -> None:
        """Accept connections, in a thread."""
        app, self._gateway = make_app(
            host, hosts=self._address.names, token=self._token, folder=self._folder
        )
        config = uvicorn.Config(
            app,
            http=_TimedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=CLOSE_SECONDS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        self._library = LibraryLog(host.log.write)
        self._library.attach()
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )
        self._thread.start()
        self._gateway.preload()

    def close(self) -> None:
        """Finish what is being answered within :data:`CLOSE_SECONDS`, and accept no more."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(CLOSE_SECONDS + 1)
        if self._gateway is not None:
            self._gateway.close()
        if self._library is not None:
            self._library.detach()
        self._socket.close()


class _TimedProtocol(H11Protocol):
    """uvicorn's protocol, which by itself waits without limit for the headers of a connection."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None and self._between_requests():
            self._wait()
        super().data_received(data)
        if not self._between_requests():
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        begun, _ = self.conn.trailing_data  # of the next request, which came with this one
        if begun and self._waiting is None and self._between_requests():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self._between_requests() and not self.transport.is_closing():
            self.transport.close()
