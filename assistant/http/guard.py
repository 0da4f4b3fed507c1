"""Lets only those in who may ask: checks in front of every endpoint.

A page in a browser can send requests to a loopback port, and DNS can make it believe that the port
is its own host (rebinding). So the ``Host`` must be a loopback name with this port, no other origin
is answered, nothing is allowed across origins, and every request but that for ``/health`` shows the
token. Bodies are bounded in size and time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from git_copilot.assistant.http.errors import error_form
from git_copilot.assistant.http.token import Token

MAX_BODY_BYTES = 32 * 2**20
BODY_SECONDS = 20.0
# Clients that cannot send a header have the token in front of the path: /token/TOKEN/v1/completions.
PATH_TOKEN = "/token/"
OPEN_PATHS = frozenset({"/health"})
LOG_SECONDS = 1.0
UNAUTHORIZED, TOO_SLOW = 401, 408
# So long a refused request's body is still read: a client that sends all of it before it reads
# would see a broken connection instead of the answer.
DRAIN_SECONDS = 2.0


class Refused(Exception):
    """A request that is not let in."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Guard:
    """ASGI middleware with the checks."""

    def __init__(
        self, app: ASGIApp, *, hosts: frozenset[str], token: Token, log: Callable[[str], None]
    ) -> None:
        """:param hosts: the values of ``Host`` that name this server.
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
        try:
            scope = self._admitted(scope)
        except Refused as exc:
            await self._refuse(scope, receive, send, exc)
            return
        body = _Body(receive)
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if begun or body.refused is None:  # else the guard answers, not the application
                begun = True
                await send(message)

        with contextlib.suppress(Refused):
            await self._app(scope, body.receive, answer)
        if body.refused is not None and not begun:
            await self._refuse(scope, receive, send, body.refused)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, exc: Refused) -> None:
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            self._log(f"HTTP: refused {scope['method'][:8]!r} with {exc.status}: {exc.message}")
        headers = {"Connection": "close"}
        if exc.status == UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        body = error_form(scope["path"])(exc.status, exc.message)

        async def answer(message: Message) -> None:
            if message["type"] != "http.response.body" or exc.status == TOO_SLOW:
                await send(message)
                return
            await send({**message, "more_body": True})
            await _drain(receive)
            await send({"type": "http.response.body", "body": b""})

        await JSONResponse(body, exc.status, headers)(scope, receive, answer)

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
        refusal = None if scope["path"] in OPEN_PATHS else self._token.refusal(shown)
        if refusal is not None:
            raise Refused(UNAUTHORIZED, refusal)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            raise Refused(413, f"the body has more than {MAX_BODY_BYTES >> 20} MB")
        return scope


async def _drain(receive: Receive) -> None:
    """Read what is left of a body, within bounds, and forget it."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while size <= MAX_BODY_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


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


class _Body:
    """The body of a request within its bounds; ``refused`` once it exceeds one."""

    def __init__(self, receive: Receive) -> None:
        self.refused: Refused | None = None
        self._receive = receive
        self._size, self._whole = 0, False
        self._deadline = time.monotonic() + BODY_SECONDS

    async def receive(self) -> Message:
        """The next message of the connection.

        :raises Refused: the body is too large or too slow.
        """
        if self._whole:
            return await self._receive()
        try:
            left = self._deadline - time.monotonic()
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            raise self._refuse(
                TOO_SLOW, f"the body did not arrive within {BODY_SECONDS:g} s"
            ) from None
        self._size += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._size > MAX_BODY_BYTES:
            raise self._refuse(413, f"the body has more than {MAX_BODY_BYTES >> 20} MB")
        return message

    def _refuse(self, status: int, message: str) -> Refused:
        self.refused = Refused(status, message)
        return self.refused
