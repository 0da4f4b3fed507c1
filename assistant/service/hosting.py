"""What the server asks of another way in, which it opens and closes with its own socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from git_copilot.assistant.client.server_log import ServerLog
    from git_copilot.assistant.service.request_queue import RequestQueue
    from git_copilot.assistant.service.service import Service


class ServerHost(Protocol):
    """A server that others use: its service, the queue of its requests, and its log."""

    @property
    def service(self) -> Service: ...
    @property
    def queue(self) -> RequestQueue: ...
    @property
    def log(self) -> ServerLog: ...


class Listener(Protocol):
    """Another way in."""

    @property
    def address(self) -> str:
        """A URL."""

    @property
    def token_file(self) -> str | None:
        """The file with the token that clients show; ``None``: they need none."""

    def open(self, host: ServerHost) -> None:
        """Accept connections until :meth:`close`.

        :raises OSError: the address cannot be used.
        """

    def close(self) -> None:
        """Finish what is being answered, and accept no more."""
