"""A loopback address for HTTP."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

from git_copilot.index.core.errors import USAGE, CopilotError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """A loopback address."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> HttpAddress:
        """Read ``HOST:PORT``.

        :raises CopilotError: it has another form, or the host is no loopback address.
        """
        host, colon, port = text.rpartition(":")
        host = host.strip("[]").lower()
        if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
            raise _usage(f"{text!r} is not HOST:PORT", "write 127.0.0.1:8012, for example")
        if host not in LOOPBACK:
            raise _usage(
                f"{host!r} is not a loopback address",
                "write 127.0.0.1: other machines are not served",
            )
        return cls("127.0.0.1" if host == "localhost" else host, int(port))

    @property
    def text(self) -> str:
        """As :meth:`parse` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.text}"

    @property
    def names(self) -> frozenset[str]:
        """The values of ``Host`` that clients send."""
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))


def _usage(message: str, hint: str) -> CopilotError:
    error = CopilotError(message, hint)
    error.exit_code = USAGE
    return error


def bind(address: HttpAddress) -> socket.socket:
    """A socket that listens at the address.

    :raises CopilotError: it cannot.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # With the protocol's number asyncio switches off Nagle's algorithm, which would hold back the
    # second half of each answer for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        # Until one of them listens, several sockets may be bound to one port.
        listener.listen()
    except OSError as exc:
        listener.close()
        used = exc.errno == errno.EADDRINUSE
        raise CopilotError(
            f"{address.url} cannot be opened ({os.strerror(exc.errno or 0)})",
            "another program uses the port: choose another one" if used else "choose another port",
        ) from exc
    listener.set_inheritable(False)
    return listener
