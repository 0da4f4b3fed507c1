"""The token that clients show: made once, in a file that only its owner can read."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import write_atomically
from git_copilot.index.git.trust import data_dir

TOKEN_BYTES = 24
MAX_BYTES = 4096


def default_token_file() -> Path:
    """Where the token is unless the user says otherwise."""
    return data_dir() / "http-token"


def read_token(file: Path) -> str | None:
    """The token in a file; ``None`` where there is no file.

    :raises CopilotError: it cannot be read, holds no token, or others may read it.
    """
    try:
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise CopilotError(f"{file} is not a regular file", "name a file with the token")
        if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            raise CopilotError(f"{file} may be read by others", f"`chmod 600 {file}` corrects that")
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CopilotError(
            f"{file} cannot be read ({exc.strerror})", "name another one with --token-file"
        ) from exc
    if not text or not text.isprintable() or " " in text or "\ufffd" in text:
        raise CopilotError(f"{file} holds no token", "remove it, and a new one is made")
    return text


def ensure_token(file: Path) -> tuple[str, bool]:
    """The token in a file, made if it is missing; and whether it was.

    :raises CopilotError: as :func:`read_token`, or the file cannot be written.
    """
    token = read_token(file)
    if token is not None:
        return token, False
    token = secrets.token_urlsafe(TOKEN_BYTES)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(file, f"{token}\n".encode(), mode=0o600)
    except OSError as exc:
        raise CopilotError(
            f"{file} cannot be written ({exc.strerror})", "name another one with --token-file"
        ) from exc
    return token, True


class Token:
    """What clients must show: the token that its file has now, so that a new one counts at once."""

    def __init__(self, file: Path | None) -> None:
        """:param file: ``None`` lets every program of this machine in.
        :raises CopilotError: as :func:`ensure_token`."""
        self.file = file
        self._text = "" if file is None else ensure_token(file)[0]
        self._stamp = self._look()

    def refusal(self, shown: str) -> str | None:
        """Why a request that shows this is not let in; ``None`` where it is."""
        if self.file is None:
            return None
        if not shown:
            return "a token is needed: `git copilot serve --status` names its file"
        if (stamp := self._look()) != self._stamp:
            try:
                self._text, self._stamp = read_token(self.file) or "", stamp
            except CopilotError as exc:
                return f"{exc.message}; {exc.hint}"
        if not self._text:
            return "the token's file was deleted: restart the server, which makes a new one"
        if not hmac.compare_digest(shown.encode(), self._text.encode()):
            return (
                "the token is wrong: `git copilot serve --status` names the file with the right one"
            )
        return None

    def _look(self) -> tuple[int, ...] | None:
        """What changes when the file does; ``None`` where there is none."""
        if self.file is None:
            return None
        try:
            facts = self.file.stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_mode
