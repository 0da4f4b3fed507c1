"""What can go wrong, said in one line that a person can act on."""

from __future__ import annotations

import errno
from collections.abc import Sequence

OK = 0
USER_PROBLEM = 1
USAGE = 2
BUG = 3
NOT_PROMOTED = 4
INTERRUPTED = 130

# What the system says when a disk, or a user's share of it, is full.
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL_HINT = "free some disk space"


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a command line asks for its answer as JSON, whatever else is wrong with it."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in options


def error_json(message: str, hint: str, exit_code: int, log: str | None = None) -> str:
    """A failure as the JSON object that a command with ``--json`` prints in place of its answer.

    :param log: the report of a bug.
    """
    import json  # a hook never needs it

    error = {"message": message, "hint": hint, "exit_code": exit_code}
    return json.dumps({"error": error if log is None else {**error, "log": log}})


class CopilotError(Exception):
    """An expected failure.

    ``message`` says what is wrong, ``hint`` how to mend it; both are shown on one line.
    ``exit_code`` is the process's exit status (see the constants of this module).
    """

    exit_code = USER_PROBLEM

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class GitError(CopilotError):
    """git refused, or the repository is not what the command needs."""


class NotARepository(GitError):
    """The path is in no Git repository."""


class DatabaseError(CopilotError):
    """``copilot.db`` cannot be opened, read or written."""


class DiskFull(DatabaseError):
    """The disk is full: the database is as it was and can still be read, perhaps."""


class ReadOnlyDatabase(DatabaseError):
    """The database can be read and not written."""


class NotInitialised(CopilotError):
    """The repository has no copilot state yet."""


class ModelError(CopilotError):
    """A model is unknown, missing, damaged or does not fit."""


class LocationError(CopilotError):
    """``FILE:LINE[:COL]`` names no place that can be completed."""
