"""What the user says about the HTTP server: its address and its token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.http.address import HttpAddress, bind
from git_copilot.assistant.http.token import Token, default_token_file, ensure_token
from git_copilot.index.core.errors import CopilotError, NotARepository
from git_copilot.index.git.repository import GitRepository

if TYPE_CHECKING:
    from git_copilot.assistant.http.listener import HttpListener

NO_TOKEN = "none"


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """``address`` is where HTTP is answered, ``None`` for nowhere; ``token_file`` holds the token,
    ``None`` where none is needed. ``asked``: the command line has the address, not the settings."""

    address: HttpAddress | None
    token_file: Path | None
    asked: bool = False

    @classmethod
    def of(
        cls,
        address: str | None,
        token_file: Path | None,
        settings: Settings,
        *,
        no_token: bool = False,
    ) -> HttpOptions:
        """The options of a command line over the settings.

        :raises CopilotError: the address is not HOST:PORT on the loopback interface.
        """
        text = address or settings.http
        named = settings.http_token_file
        if no_token or (token_file is None and named == NO_TOKEN):
            file = None
        else:
            file = (token_file or Path(named or default_token_file())).expanduser().absolute()
        return cls(HttpAddress.parse(text) if text else None, file, bool(address))

    def satisfied_by(self, facts: dict[str, Any]) -> bool:
        """Whether a running server does what is wanted, by what it says of itself."""
        if self.address is None:
            return True
        file = None if self.token_file is None else str(self.token_file)
        return bool(self.address.url == facts.get("http") and file == facts.get("http_token_file"))

    def arguments(self) -> list[str]:
        """The same as options of ``serve``."""
        if self.address is None:
            return []
        token = (
            ["--no-token"] if self.token_file is None else ["--token-file", str(self.token_file)]
        )
        return ["--http", self.address.text, *token]

    def check(self, facts: dict[str, Any] | None = None) -> None:
        """Look whether a server could answer there, and make the token.

        :param facts: of a running server, which makes room.
        :raises CopilotError: it could not.
        """
        if self.address is not None:
            if self.address.url != (facts or {}).get("http"):
                bind(self.address).close()
            if self.token_file is not None:
                ensure_token(self.token_file)

    def listener(self, folder: Path) -> HttpListener | None:
        """What answers, bound to its address.

        :raises CopilotError: it cannot be, or the token cannot be read or made.
        """
        if self.address is None:
            return None
        try:
            from git_copilot.assistant.http.listener import HttpListener
        except ImportError as exc:
            raise CopilotError(
                f"HTTP needs {exc.name}", "`pip install starlette uvicorn prometheus-client`"
            ) from exc
        token = Token(self.token_file)
        return HttpListener(bind(self.address), token=token, folder=folder)


def tell_http(terminal: Terminal, facts: dict[str, Any]) -> None:
    """Say where a server answers HTTP, and where its token is, or why it does not."""
    url, file = facts.get("http"), facts.get("http_token_file")
    if url:
        terminal.note(f"HTTP at {url}, " + (f"token in {file}" if file else "without a token"))
    elif facts.get("http_problem"):
        terminal.note(f"no HTTP: {facts['http_problem']}")


def settings_here() -> Settings:
    """The user's settings, in a repository with those of that.

    :raises CopilotError: a setting has the wrong type.
    """
    try:
        return load_settings(GitRepository.discover())
    except NotARepository:
        return load_settings(None)
