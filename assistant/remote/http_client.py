"""A server that speaks OpenAI's completions: requests, streams, retries, errors. No model.

httpx keeps connections alive between completions and takes proxies from the environment. It is
imported when an address is configured: most installations have none.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from git_copilot.assistant.remote.error_messages import message_in, reason_of, remedy, short
from git_copilot.assistant.remote.streaming import (
    has_finished,
    is_untrusted,
    make_client,
    read_lines,
    read_text,
    shut_at,
)
from git_copilot.index.core.errors import CopilotError

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
# Waits before the second and the third try.
RETRY_SECONDS = (0.2, 1.0)
# For the end of a stream after its last event, which leaves the connection fit for another request.
DRAIN_SECONDS = 0.1


class EndpointError(CopilotError):
    """The configured server cannot be asked, or its answer makes no sense."""


class SlowAnswer(EndpointError):
    """The server took longer than it was given."""


class _NotThere(EndpointError):
    """The server knows no such address, or no such model."""


class _Unreachable(Exception):
    """A try failed and may be repeated; ``error`` is raised when it was the last."""

    def __init__(self, error: EndpointError) -> None:
        super().__init__(str(error))
        self.error = error


class Endpoint:
    """An address with its key, and connections to it that are kept alive.

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
        path = path if path.endswith("/v1") else f"{path}/v1"
        self._timeout, self._variable = timeout, key_variable
        self.url = f"{parts.scheme}://{parts.netloc}{path}"
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # a compressed stream may be held back
        }
        if key_variable:
            key = os.environ.get(key_variable, "")
            if not key:
                raise EndpointError(
                    f"the environment has no {key_variable}, which should hold the server's key",
                    "set it where the editor and `git copilot serve` start",
                )
            headers["Authorization"] = f"Bearer {key}"
        try:
            self._client = make_client(headers)
        except (ImportError, ValueError) as exc:
            raise EndpointError(
                f"the environment names a proxy that cannot be used ({short(str(exc))})",
                "correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY",
            ) from exc

    def post(self, path: str, body: Mapping[str, Any]) -> str:
        """The text that answers a request without a stream.

        :raises EndpointError: the server cannot be reached or refuses.
        """
        deadline = time.monotonic() + self._timeout
        with closing(self._send(path, body, deadline)) as response:
            return self._whole(response, deadline)

    def models(self) -> list[str] | None:
        """The names that the server lists, adapters' among them where it has some; ``None`` where
        it lists none. Asked once, without a retry.

        :raises EndpointError: it cannot be reached or refuses.
        """
        deadline = time.monotonic() + self._timeout
        try:
            response = self._try("/models", None, deadline)
        except _Unreachable as exc:
            raise exc.error from exc
        except _NotThere:
            return None
        with closing(response):
            listed = self._object(self._whole(response, deadline)).get("data")
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
        """The JSON objects that a server sends one by one. Closing the iterator closes the
        connection, at which servers stop generating.

        :param seconds: fewer than the timeout, for this request.
        :param cancelled: asked before each retry.
        :raises EndpointError: see :meth:`post`; also when the stream breaks off.
        :raises TimeoutError: ``seconds`` were over.
        """
        limit = min(seconds, self._timeout) if seconds else self._timeout
        deadline = time.monotonic() + limit
        with closing(self._send(path, body, deadline, cancelled)) as response:
            try:
                with self._errors(deadline):
                    yield from self._events(response, deadline)
            except TimeoutError:
                if limit < self._timeout:
                    raise
                raise self._slow(limit) from None

    @contextmanager
    def _errors(self, deadline: float) -> Iterator[None]:
        """Errors while an answer comes in.

        :raises TimeoutError: the deadline is over.
        :raises EndpointError: the connection broke.
        """
        import httpx

        try:
            yield
        except httpx.HTTPError as exc:
            if isinstance(exc, httpx.TimeoutException) or time.monotonic() >= deadline:
                raise TimeoutError from exc
            raise EndpointError(
                f"{self.url} broke off its answer ({reason_of(exc)})", "look at the server's log"
            ) from exc

    def _events(self, response: httpx.Response, deadline: float) -> Iterator[dict[str, Any]]:
        import httpx

        if "json" in response.headers.get("Content-Type", ""):  # it streams nothing
            text = read_text(response, deadline)
            yield self._object(text)
            return
        finished = False
        with shut_at(response, deadline):
            lines = read_lines(response)
            for line in lines:
                field, _, value = line.partition(":")
                if field == "data":
                    if value.strip() == "[DONE]":
                        break
                    found = self._object(value)
                    finished = finished or has_finished(found)
                    yield found
                    if time.monotonic() >= deadline:
                        raise TimeoutError
            else:
                if not finished:  # some servers send no [DONE]
                    raise httpx.RemoteProtocolError("no end was sent")
                return
        drained = min(deadline, time.monotonic() + DRAIN_SECONDS)
        with suppress(httpx.HTTPError), shut_at(response, drained):
            for _ in lines:
                pass

    def _whole(self, response: httpx.Response, deadline: float) -> str:
        try:
            with self._errors(deadline):
                return read_text(response, deadline)
        except TimeoutError:
            raise self._slow(self._timeout) from None

    def _object(self, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise EndpointError(
                f"{self.url} answered with no JSON object ({short(text)!r})",
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
    ) -> httpx.Response:
        """Ask until there is an answer other than 5xx; a request without an answer was not done,
        and completing has no effects, so a retry is safe."""
        for wait in (*RETRY_SECONDS, None):
            try:
                return self._try(path, json.dumps(body).encode(), deadline)
            except _Unreachable as exc:
                left = deadline - time.monotonic()
                if wait is None or wait >= left or cancelled():
                    raise exc.error from exc
                time.sleep(wait)
        raise AssertionError  # the last wait is None

    def _try(self, path: str, body: bytes | None, deadline: float) -> httpx.Response:
        """One request: a POST with a body, or else a GET."""
        import httpx

        left = max(deadline - time.monotonic(), 0.001)
        timeout = httpx.Timeout(left, connect=min(CONNECT_SECONDS, left))
        method = "GET" if body is None else "POST"
        try:
            request = self._client.build_request(
                method, self.url + path, content=body, timeout=timeout
            )
            response = self._client.send(request, stream=True)
            if response.status_code != 200:
                with closing(response):
                    text = read_text(response, deadline)
                self._refuse(response.status_code, text, response.headers.get("Location", ""))
            return response
        except httpx.InvalidURL as exc:
            raise EndpointError(
                f"copilot.endpoint is {self.url!r}, no address ({reason_of(exc)})",
                "write http://HOST:PORT or https://HOST",
            ) from exc
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise self._slow(left) from exc
        except httpx.HTTPError as exc:
            if is_untrusted(exc):
                raise EndpointError(
                    f"{self.url} has no trusted connection ({reason_of(exc)})",
                    "check the address, or name the authority's file in SSL_CERT_FILE",
                ) from exc
            raise _Unreachable(
                EndpointError(
                    f"{self.url} cannot be reached ({reason_of(exc)})",
                    "start the server, or unset `copilot.endpoint` to work on this machine",
                )
            ) from exc

    def _slow(self, seconds: float) -> SlowAnswer:
        return SlowAnswer(
            f"{self.url} took longer than {round(seconds, 1):g} s",
            "raise copilot.endpointTimeout and copilot.timeLimitMs, or ask for fewer tokens",
        )

    def _refuse(self, status: int, body: str, location: str) -> None:
        """:raises EndpointError: always, with the remedy; ``_Unreachable`` for 5xx."""
        said = f"{self.url} says {status}" + (f": {message_in(body)}" if body.strip() else "")
        if status == 404:
            raise _NotThere(
                said, "check copilot.endpointModel, and that the address ends before /completions"
            )
        error = EndpointError(said, remedy(status, body, location, self._variable))
        raise _Unreachable(error) if status >= 500 else error
