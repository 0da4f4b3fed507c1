"""Lets only those in who may ask: checks in front of every endpoint.

A page in a browser can send requests to a loopback port, and DNS can make it believe that the port
is its own host (rebinding). So the ``Host`` must be a loopback name with this port, no other origin
is answered, nothing is allowed across origins, and every request but that for ``/health`` shows the
token. Bodies are bounded in size and time.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from git_copilot.assistant.http.errors import error_form

MAX_BODY_BYTES = 32 * 2**20
BODY_SECONDS = 20.0
# Clients that cannot send a header have the token in front of the path: /token/TOKEN/v1/completions.
PATH_TOKEN = "/token/"
OPEN_PATHS = frozenset({"/health"})
LOG_SECONDS = 1.0


class Refused(Exception):
    """A request that is not let in."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Guard:
    """ASGI middleware with the checks."""

    def __init__(
        self, app: ASGIApp, *, hosts: frozenset[str], token: str | None, log: Callable[[str], None]
    ) -> None:
        """:param hosts: the values of ``Host`` that name this server.
        :param token: ``None`` lets every local program in.
        :param log: gets a line about refused requests, at most one a second."""
        self._app, self._hosts, self._token, self._log = app, hosts, token, log
        self._logged = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a websocket: none is served
            await send({"type": "websocket.close", "code": 1008})
            return
        begun = False

        async def begin(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            scope = self._admitted(scope)
            await self._app(scope, _bounded(receive), begin)
        except Refused as exc:
            self._tell(scope, exc)
            if not begun:
                body = error_form(scope["path"])(exc.status, exc.message)
                headers = {"Connection": "close"}
                if exc.status == 401:
                    headers["WWW-Authenticate"] = "Bearer"
                await JSONResponse(body, exc.status, headers)(scope, receive, send)

    def _admitted(self, scope: Scope) -> Scope:
        """The scope for the application, without a token in its path.

        :raises Refused: the request may not come in.
        """
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            raise Refused(403, "the Host header names another server")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            raise Refused(403, "requests of other origins are not answered")
        if scope["method"] == "OPTIONS":
            raise Refused(403, "nothing is allowed across origins")
        scope, shown = _token_of(scope, headers)
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            if not shown:
                raise Refused(401, "a token is needed: `git copilot serve --status` names its file")
            if not hmac.compare_digest(shown.encode(), self._token.encode()):
                raise Refused(401, "the token is wrong")
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            raise Refused(413, f"the body has more than {MAX_BODY_BYTES >> 20} MB")
        return scope

    def _tell(self, scope: Scope, exc: Refused) -> None:
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            self._log(f"HTTP: refused {scope['method'][:8]!r} with {exc.status}: {exc.message}")


def _token_of(scope: Scope, headers: Headers) -> tuple[Scope, str]:
    """The token that a request shows, if any; and the scope without one in the path."""
    path: str = scope["path"]
    if path.startswith(PATH_TOKEN):
        token, _, rest = path.removeprefix(PATH_TOKEN).partition("/")
        return {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}, token
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return scope, token.strip()
    return scope, headers.get("x-api-key", "").strip()


def _bounded(receive: Receive) -> Receive:
    """``receive`` with the bounds of a body."""
    size, deadline, whole = 0, time.monotonic() + BODY_SECONDS, False

    async def bounded() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()
        try:
            message: dict[str, Any] = dict(
                await asyncio.wait_for(receive(), deadline - time.monotonic())
            )
        except TimeoutError as exc:
            raise Refused(408, f"the body did not arrive within {BODY_SECONDS:g} s") from exc
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            raise Refused(413, f"the body has more than {MAX_BODY_BYTES >> 20} MB")
        return message

    return bounded
