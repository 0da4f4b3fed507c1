"""httpx set up for one server, and its answers read within bounds of time and size."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

KEPT_ALIVE_SECONDS = 60.0
# No proxy leads to this machine, whatever the environment says.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
MAX_BODY = 1 << 20


def make_client(headers: Mapping[str, str]) -> httpx.Client:
    """A client that keeps connections alive and takes proxies from the environment.

    :raises ValueError: the address of a proxy makes no sense.
    :raises ImportError: the proxy needs a package that is not installed (SOCKS).
    """
    import httpx

    try:
        return httpx.Client(
            headers=headers,
            verify=ssl.create_default_context(),
            limits=httpx.Limits(keepalive_expiry=KEPT_ALIVE_SECONDS),
            mounts={f"all://{host}": None for host in LOCAL_HOSTS},
        )
    except httpx.InvalidURL as exc:
        raise ValueError(str(exc)) from exc


@contextmanager
def shut_at(response: httpx.Response, moment: float) -> Iterator[None]:
    """Shut the connection down at a moment of ``time.monotonic``: httpx bounds the wait for each
    part of an answer, and not the whole."""
    connection = response.extensions["network_stream"].get_extra_info("socket")

    def shut() -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(moment - time.monotonic(), 0.0), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_lines(response: httpx.Response) -> Iterator[str]:
    """The lines of an answer, each of at most :data:`MAX_BODY` bytes. httpx's own also end at
    U+2028 and its like, which JSON may hold."""
    rest = b""
    for part in response.iter_bytes():
        *whole, rest = (rest + part).split(b"\n")
        for line in (*whole, rest) if len(rest) > MAX_BODY else whole:
            yield line.decode("utf-8", "replace")
        rest = b"" if len(rest) > MAX_BODY else rest
    if rest:
        yield rest.decode("utf-8", "replace")


def read_text(response: httpx.Response, deadline: float) -> str:
    """The text of an answer, cut at :data:`MAX_BODY` bytes.

    :raises httpx.HTTPError: the connection broke, or was shut down at the deadline.
    :raises TimeoutError: it was shut down, which may look like the end of the answer.
    """
    data = b""
    with shut_at(response, deadline):
        for part in response.iter_bytes():
            data += part
            if len(data) >= MAX_BODY:
                break
    if time.monotonic() >= deadline:
        raise TimeoutError
    return data[:MAX_BODY].decode("utf-8", "replace")


def is_untrusted(exc: BaseException | None) -> bool:
    """Whether an error of TLS is behind a failed request."""
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def has_finished(event: Mapping[str, Any]) -> bool:
    choices = event.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("finish_reason") for choice in choices
    )
