"""The console script's first stop: `complete`, `search` and `feedback` go to a running server.

Imports the standard library only, so that a warm answer is not late because of imports. What
cannot be handed over goes to the full command line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from git_copilot.assistant.client.command_line import (
    ServedCommand,
    read_command,
    read_stdin,
)
from git_copilot.assistant.client.transport import ServerSilent, ask_for_work, may_ask
from git_copilot.assistant.core.process import calm_threads, open_standard_streams, tell_failure
from git_copilot.index.core.errors import USER_PROBLEM

TYPE_CHECKING = False  # importing typing takes a millisecond or two
if TYPE_CHECKING:
    from typing import Any


def ask_for(argv: list[str]) -> tuple[int | None, bytes | None]:
    """Have a running server answer a command line.

    :return: the exit code, or ``None`` where this process must do the work; and standard input as
        far as it was read.
    """
    stdin: bytes | None = None
    open_standard_streams()
    try:
        cwd = str(Path.cwd())
    except FileNotFoundError:
        hint = "change to another folder"
        return tell_failure(argv, "the current folder was deleted", hint, USER_PROBLEM), None
    try:
        command = read_command(argv, cwd) if may_ask() else None
        if command is not None:
            stdin = read_stdin(command)
            reply = ask_for_work(command.name, command.request, _load_output)
            if reply is not None:
                return _print_reply(command, reply, argv), stdin
    except BrokenPipeError:
        return _reader_left(), stdin
    except ServerSilent as exc:
        return tell_failure(argv, exc.message, exc.hint, exc.exit_code), stdin
    except OSError as exc:
        problem = f"{exc.strerror}: {exc.filename or 'output'}"
        return tell_failure(argv, problem, "check it", USER_PROBLEM), stdin
    calm_threads()
    return None, stdin


def _load_output() -> None:
    """Import what prints the answer while the server works on it."""
    import git_copilot.assistant.client.output  # noqa: F401


def _print_reply(command: ServedCommand, reply: dict[str, Any], argv: list[str]) -> int:
    """Print a server's reply to a command; its exit code."""
    from git_copilot.assistant.client import output

    out = output.standard_output()
    for note in reply.get("notes", ()):
        out.note(note)
    if "error" in reply:
        return output.print_failure(out, reply["error"], argv)
    answer, as_json = reply["answer"], command.as_json
    if command.name == "complete":
        output.print_completion(out, answer, reply["why_empty"], as_json=as_json)
    elif command.name == "search":
        output.print_search(
            out,
            answer,
            reply.get("texts", ()),
            query=command.request["query"],
            root=reply["root"],
            cwd=command.request["cwd"],
            as_json=as_json,
        )
    else:
        output.print_feedback(out, answer, as_json=as_json)
    return 0


def _reader_left() -> int:
    """The reader had enough (``| head``): that is no failure, and nothing more is flushed."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return 0
