"""What can go wrong, said in one line that a person can act on."""

from __future__ import annotations

import errno

OK = 0
USER_PROBLEM = 1
USAGE = 2
BUG = 3
NOT_PROMOTED = 4
INTERRUPTED = 130

# What the system says when a disk, or a user's share of it, is full.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
ROOM_HINT = "free some disk space"


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


class NoRoom(DatabaseError):
    """The disk is full: the database is as it was and can still be read, perhaps."""


class ReadOnly(DatabaseError):
    """The database can be read and not written."""


class NotInitialised(CopilotError):
    """The repository has no copilot state yet."""


class ModelError(CopilotError):
    """A model is unknown, missing, damaged or does not fit."""


class LocationError(CopilotError):
    """``FILE:LINE[:COL]`` names no place that can be completed."""
