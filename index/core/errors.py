"""Errors with a one-line message and a remedy, and the exit codes of the commands."""

from __future__ import annotations

import errno
from collections.abc import Sequence

OK = 0
USER_PROBLEM = 1
USAGE = 2
BUG = 3
NOT_PROMOTED = 4
INTERRUPTED = 130

# Raised by the system when a disk, or the user's quota on it, is full.
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL_HINT = "free some disk space"


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a command line asks for JSON output, even if it is otherwise invalid."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in options


def error_json(message: str, hint: str, exit_code: int, log: str | None = None) -> str:
    """The JSON object that a command with ``--json`` prints when it fails.

    :param log: path of the bug report.
    """
    import json  # a hook never needs it

    error = {"message": message, "hint": hint, "exit_code": exit_code}
    return json.dumps({"error": error if log is None else {**error, "log": log}})


class CopilotError(Exception):
    """An expected failure.

    ``message`` states the problem, ``hint`` the remedy; both are shown on one line.
    ``exit_code`` is the process's exit status (see the constants in this module).
    """

    exit_code = USER_PROBLEM

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class GitError(CopilotError):
    """git failed, or the repository does not meet the command's needs."""


class NotARepository(GitError):
    """The path is not in a Git repository."""


class DatabaseError(CopilotError):
    """``copilot.db`` cannot be opened, read or written."""


class DiskFull(DatabaseError):
    """The disk is full. The database is unchanged and may still be readable."""


class ReadOnlyDatabase(DatabaseError):
    """The database is readable but not writable."""


class NotInitialised(CopilotError):
    """The repository has no trusted copilot state yet."""


class ModelError(CopilotError):
    """A model is unknown, missing, damaged or incompatible."""


class LocationError(CopilotError):
    """``FILE:LINE[:COL]`` is not a place that can be completed."""
