"""One HTTP server that speaks OpenAI's completions: requests, streams, retries, errors. No model.

The standard library is enough: one POST with a JSON body, and lines of server-sent events.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from git_copilot.assistant.remote.error_messages import message_in, short
from git_copilot.index.core.errors import CopilotError

CONNECT_SECONDS = 5.0
# Waits before the second and the third try.
RETRY_SECONDS = (0.2, 1.0)
MAX_BODY = 1 << 20
_TOO_LONG = re.compile(r"context|too long|too large|max\w* (model )?len|exceed", re.IGNORECASE)


class EndpointError(CopilotError):
    """The configured server cannot be asked, or its answer makes no sense."""


class SlowAnswer(EndpointError):
    """The server was given no more time."""


class _NotThere(EndpointError):
    """The server knows no such address, or no such model."""


class _Unreachable(Exception):
    """A try failed in a way that another may not: ``error`` is what to say if it was the last."""

    def __init__(self, error: EndpointError) -> None:
        super().__init__(str(error))
        self.error = error


class Endpoint:
    """An address with its key.

    :ivar url: up to and with ``/v1``.
    """

    def __init__(self, url: str, key_variable: str, timeout: float) -> None:
        """:param key_variable: the environment variable with the key; empty: none is sent.
        :param timeout: seconds that one request may take in all, its tries included.
        :raises EndpointError: the address or the variable makes no sense.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EndpointError(
                f"copilot.endpoint is {url!r}, no address", "write http://HOST:PORT or https://HOST"
            )
        if parts.username or parts.password:
            raise EndpointError(
                "copilot.endpoint holds a password",
                "name a variable in copilot.endpointKey instead",
            )
        path = parts.path.rstrip("/")
        self._path = path if path.endswith("/v1") else f"{path}/v1"
        self._parts, self._timeout, self._variable = parts, timeout, key_variable
        self.url = f"{parts.scheme}://{parts.netloc}{self._path}"
        self._headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key_variable:
            key = os.environ.get(key_variable, "")
            if not key:
                raise EndpointError(
                    f"the environment has no {key_variable}, which should hold the server's key",
                    "set it where the editor and `git copilot serve` start",
                )
            self._headers["Authorization"] = f"Bearer {key}"

    def post(self, path: str, body: Mapping[str, Any]) -> str:
        """The text that answers a request without a stream.

        :raises EndpointError: the server cannot be reached or refuses.
        """
        connection, response = self._send(path, body, time.monotonic() + self._timeout)
        with closing(connection):
            return _read(response)

    def models(self) -> list[str] | None:
        """The names that the server lists, adapters' among them where it has some; ``None`` where
        it lists none. Asked once, without another try.

        :raises EndpointError: it cannot be reached or refuses.
        """
        try:
            connection, response = self._try("/models", None, time.monotonic() + self._timeout)
        except _Unreachable as exc:
            raise exc.error from exc
        except _NotThere:
            return None
        with closing(connection):
            listed = self._object(_read(response)).get("data")
        rows = listed if isinstance(listed, list) else []
        return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row] or None

    def stream(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        seconds: float = 0.0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Generator[dict[str, Any], None, None]:
        """The JSON objects that a server sends one by one. Closing the iterator hangs up, at which
        servers stop generating.

        :param seconds: fewer than the timeout, for this request.
        :raises EndpointError: see :meth:`post`; also when the stream breaks off.
        :raises TimeoutError: ``seconds`` were over.
        """
        limit = min(seconds, self._timeout) if seconds else self._timeout
        deadline = time.monotonic() + limit
        connection, response = self._send(path, body, deadline, cancelled)
        with closing(connection):
            try:
                yield from self._events(connection, response, deadline)
            except TimeoutError:
                if limit < self._timeout:
                    raise
                raise self._slow(limit) from None
            except (OSError, http.client.HTTPException) as exc:
                raise EndpointError(
                    f"{self.url} broke off its answer ({_reason(exc)})", "look at the server's log"
                ) from exc

    def _events(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        deadline: float,
    ) -> Iterator[dict[str, Any]]:
        if "json" in response.getheader("Content-Type", ""):  # it streams nothing
            yield self._object(_read(response))
            return
        finished = False
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(left)
            line = response.readline(MAX_BODY).decode("utf-8", "replace")
            if not line:
                if finished:  # some servers send no [DONE]
                    return
                raise http.client.HTTPException("no end was sent")
            field, _, value = line.partition(":")
            if field == "data":
                if value.strip() == "[DONE]":
                    return
                found = self._object(value)
                finished = finished or _has_finished(found)
                yield found

    def _object(self, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise EndpointError(
                f"{self.url} answered what is no JSON object ({short(text)!r})",
                "copilot.endpoint must name an OpenAI-compatible server",
            )
        if found.get("error"):
            raise EndpointError(f"{self.url} says: {message_in(text)}", "look at the server's log")
        return found

    def _send(
        self,
        path: str,
        body: Mapping[str, Any],
        deadline: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Connect and ask until there is an answer other than 5xx; what was not answered was not
        done, and completing has no effects, so asking again is safe."""
        for wait in (*RETRY_SECONDS, None):
            try:
                return self._try(path, json.dumps(body).encode(), deadline)
            except _Unreachable as exc:
                left = deadline - time.monotonic()
                if wait is None or wait >= left or cancelled():
                    raise exc.error from exc
                time.sleep(wait)
        raise AssertionError  # the last wait is None

    def _try(
        self, path: str, body: bytes | None, deadline: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """One request: a POST with a body, or else a GET."""
        left = max(deadline - time.monotonic(), 0.001)
        connection = self._connection(min(CONNECT_SECONDS, left))
        try:
            connection.connect()
            if connection.sock is not None:
                connection.sock.settimeout(left)
            method = "GET" if body is None else "POST"
            connection.request(method, self._path + path, body, self._headers)
            response = connection.getresponse()
            if response.status != 200:
                self._refuse(response.status, _read(response), response.getheader("Location", ""))
            return connection, response
        except ssl.SSLError as exc:
            connection.close()
            raise EndpointError(
                f"{self.url} has no trusted connection ({_reason(exc)})",
                "check the address, or name the authority's file in SSL_CERT_FILE",
            ) from exc
        except TimeoutError as exc:
            connection.close()
            raise self._slow(left) from exc
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            raise _Unreachable(
                EndpointError(
                    f"{self.url} cannot be reached ({_reason(exc)})",
                    "start the server, or unset `copilot.endpoint` to work on this machine",
                )
            ) from exc
        except BaseException:
            connection.close()
            raise

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)

    def _slow(self, seconds: float) -> SlowAnswer:
        return SlowAnswer(
            f"{self.url} took longer than {round(seconds, 1):g} s",
            "raise copilot.endpointTimeout and copilot.timeLimitMs, or ask for fewer tokens",
        )

    def _refuse(self, status: int, body: str, location: str) -> None:
        """:raises EndpointError: always, with the mend that fits; ``_Unreachable`` for 5xx."""
        said = f"{self.url} says {status}" + (f": {message_in(body)}" if body.strip() else "")
        if status >= 500:
            raise _Unreachable(EndpointError(said, "look at the server's log"))
        if status in (401, 403):
            variable = self._variable
            raise EndpointError(
                said,
                f"put a valid key into ${variable}"
                if variable
                else "name the variable that holds the key: `git config copilot.endpointKey NAME`",
            )
        if status == 404:
            raise _NotThere(
                said, "check copilot.endpointModel, and that the address ends before /completions"
            )
        if status == 413 or (status == 400 and _TOO_LONG.search(body)):
            hint = "lower copilot.promptTokens"
        elif status in (400, 422):
            hint = "if it takes no token ids: `git config copilot.endpointPrompt text`"
        elif status == 429:
            hint = "the server has too much to do; try again later"
        else:
            hint = f"it leads to {location}" if location else "check copilot.endpoint"
        raise EndpointError(said, hint)


def _has_finished(event: Mapping[str, Any]) -> bool:
    choices = event.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )


def _read(response: http.client.HTTPResponse) -> str:
    return response.read(MAX_BODY).decode("utf-8", "replace")


def _reason(exc: Exception) -> str:
    return short(getattr(exc, "strerror", None) or str(exc) or type(exc).__name__)
