"""What the user is told besides completions: each thing once, and never at every keystroke."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsprotocol import types

ERROR, WARNING, INFO = types.MessageType.Error, types.MessageType.Warning, types.MessageType.Info
LOGGED = types.MessageType.Log  # the lowest
LOG, SHOW, STATUS = "window/logMessage", "window/showMessage", "didChangeStatus"
NORMAL, TROUBLED = "Normal", "Warning"
# A client that makes mistakes does not fill the log.
MOST_LINES = 200
MOST_CHARACTERS = 200

Notify = Callable[[str, dict[str, Any]], None]


class Notices:
    """Sends messages and, to clients of the Copilot language server, its status."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._told: set[str] = set()
        self._mistaken: set[str] = set()
        self._shown: set[Path] = set()
        self._status: tuple[bool, str, str] | None = None
        self._running = 0
        self._trouble = ""
        self.has_status = False

    def log(self, text: str, kind: types.MessageType = INFO) -> None:
        """Write a line to the client's log, once."""
        if text not in self._told and len(self._told) < MOST_LINES:
            self._told.add(text)
            self._notify(LOG, {"type": kind, "message": f"git-copilot: {text}"})

    def mistake(self, method: str, what: str) -> None:
        """Write a line on a message that the client got wrong, once for each method: it would repeat
        it at every keystroke."""
        if method not in self._mistaken and len(self._mistaken) < MOST_LINES:
            self._mistaken.add(method)
            self.log(f"refused {method}: {what}"[:MOST_CHARACTERS], LOGGED)

    def problem(self, text: str, worktree: Path) -> None:
        """Tell of a problem that the user can solve: the first one of a worktree is shown, the
        others go to the log."""
        if worktree in self._shown:
            self.log(text, WARNING)
        else:
            self._shown.add(worktree)
            self._told.add(text)
            self._notify(SHOW, {"type": WARNING, "message": f"git-copilot: {text}"})
        self._trouble = text
        self._tell_status()

    def solved(self) -> None:
        """A request was answered."""
        self._trouble = ""
        self._tell_status()

    def begin(self) -> None:
        """A request is being worked on."""
        self._running += 1
        self._tell_status()

    def end(self) -> None:
        """It is not any more."""
        self._running -= 1
        self._tell_status()

    def _tell_status(self) -> None:
        kind = TROUBLED if self._trouble else NORMAL
        status = (self._running > 0, kind, self._trouble)
        if self.has_status and status != self._status:
            self._status = status
            self._notify(STATUS, {"busy": status[0], "kind": kind, "message": status[2]})
