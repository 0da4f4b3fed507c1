"""Events reported by hooks, and their one-line text format in the spool.

A line is ``kind TAB received TAB worktree TAB arguments``. The worktree is given by its folder
inside the repository (``.`` or ``worktrees/<id>``), so the line contains no path chosen by a user:
spaces and newlines cannot break the spool, and events survive moving the repository.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

HOOKS = ("post-commit", "post-merge", "post-checkout", "post-rewrite")

_KIND = re.compile(r"[a-z][a-z-]{0,40}")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", " ": "\\s"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}


@dataclass(frozen=True, slots=True)
class Event:
    """One run of a hook.

    ``git_dir`` is the absolute path of the worktree's own git folder, ``args`` are the hook's
    arguments, ``received`` is in seconds since 1970 (``None`` from the shim, which would need a
    process to get the time).
    """

    kind: str
    git_dir: str
    args: tuple[str, ...] = ()
    received: float | None = None


def encode(event: Event, common_dir: str) -> bytes:
    """The line for ``event``, newline included.

    :raises ValueError: the kind is malformed.
    """
    if not _KIND.fullmatch(event.kind):
        raise ValueError(f"invalid event kind: {event.kind!r}")
    view = relative_to(event.git_dir, common_dir)
    received = "-" if event.received is None else f"{event.received:.3f}"
    args = " ".join(_escape(arg) for arg in event.args)
    return os.fsencode(f"{event.kind}\t{received}\t{_escape(view)}\t{args}\n")


def decode(line: bytes, common_dir: str) -> Event | None:
    """Parse one line without its newline; ``None`` if it is malformed."""
    fields = os.fsdecode(line).split("\t")
    if len(fields) != 4 or not _KIND.fullmatch(fields[0]) or not fields[2]:
        return None
    try:
        received = None if fields[1] == "-" else float(fields[1])
    except ValueError:
        return None
    git_dir = absolute(_unescape(fields[2]), common_dir)
    args = tuple(_unescape(arg) for arg in fields[3].split(" ") if arg)
    return Event(fields[0], git_dir, args, received)


def decode_all(data: bytes, common_dir: str) -> tuple[list[Event], int]:
    """Every event in a spool's content, in order, and the number of malformed lines."""
    lines = [line for line in data.split(b"\n") if line]
    events = [event for line in lines if (event := decode(line, common_dir)) is not None]
    return events, len(lines) - len(events)


def relative_to(git_dir: str, common_dir: str) -> str:
    """The name of a worktree in files: its folder inside the repository, ``.`` for the main one, so
    that it stays valid when the repository is moved or copied."""
    view = os.path.relpath(git_dir, common_dir)
    return git_dir if view.startswith("..") else view


def absolute(view: str, common_dir: str) -> str:
    """The inverse of :func:`relative_to`."""
    return os.path.normpath(os.path.join(common_dir, view))  # noqa: PTH118


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)


def _unescape(text: str) -> str:
    return re.sub(r"\\.", lambda match: _UNESCAPES.get(match[0], match[0]), text)
