"""The HTTP application: all protocols, behind the guard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from git_copilot.assistant.http import llama_cpp, mistral, ollama, openai, tabby
from git_copilot.assistant.http.errors import error_form
from git_copilot.assistant.http.gateway import Gateway
from git_copilot.assistant.http.guard import Guard
from git_copilot.assistant.http.metrics import CONTENT_TYPE
from git_copilot.assistant.http.token import Token

if TYPE_CHECKING:
    from git_copilot.assistant.service.hosting import ServerHost


def make_app(
    host: ServerHost, *, hosts: frozenset[str], token: Token, folder: Path | None
) -> tuple[ASGIApp, Gateway]:
    """The application, and the gateway that it uses.

    :param hosts: values of the ``Host`` header that name this server.
    :param folder: where the server was started.
    """
    gateway = Gateway(host, folder)

    async def metrics(http: Request) -> Response:
        return Response(gateway.metrics.exposition(), media_type=CONTENT_TYPE)

    routes = [
        Route("/health", _health, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        *(route for protocol in (llama_cpp, openai, mistral, ollama, tabby)
          for route in protocol.routes(gateway)),
    ]  # fmt: skip
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    return Guard(app, hosts=hosts, token=token, log=gateway.log), gateway


async def _health(http: Request) -> Response:
    # Who shows no token keeps no connection.
    return JSONResponse({"status": "ok"}, headers={"Connection": "close"})


async def _http_error(http: Request, exc: Exception) -> Response:
    """What the router refuses: an unknown path, another method."""
    assert isinstance(exc, HTTPException)
    told = f"{http.method} {http.url.path[:100]}: {exc.detail}"
    body = error_form(http.url.path)(exc.status_code, told)
    return JSONResponse(body, exc.status_code, dict(exc.headers or {}))
