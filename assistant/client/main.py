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
from git_copilot.assistant.client.output import (
    path_to_top,
    print_completion,
    print_failure,
    print_feedback,
    print_search,
    standard_output,
)
from git_copilot.assistant.client.transport import ServerSilent, ask_for_work, may_ask
from git_copilot.assistant.core.process import calm_threads, open_standard_streams, tell_failure
from git_copilot.index.core.errors import USER_PROBLEM

TYPE_CHECKING = False  # importing typing takes a millisecond or two
if TYPE_CHECKING:
    from typing import Any

    from git_copilot.assistant.client.output import Output


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
            reply = ask_for_work(command.name, command.request)
            if reply is not None:
                return print_reply(standard_output(), command, reply, argv), stdin
    except BrokenPipeError:
        return _reader_left(), stdin
    except ServerSilent as exc:
        return tell_failure(argv, exc.message, exc.hint, exc.exit_code), stdin
    except OSError as exc:
        problem = f"{exc.strerror}: {exc.filename or 'output'}"
        return tell_failure(argv, problem, "check it", USER_PROBLEM), stdin
    calm_threads()
    return None, stdin


def print_reply(
    output: Output, command: ServedCommand, reply: dict[str, Any], argv: list[str]
) -> int:
    """Print a server's reply to a command; its exit code."""
    for note in reply.get("notes", ()):
        output.note(note)
    if "error" in reply:
        return print_failure(output, reply["error"], argv)
    answer, as_json = reply["answer"], command.as_json
    if command.name == "complete":
        print_completion(output, answer, reply["why_empty"], as_json=as_json)
    elif command.name == "search":
        prefix = path_to_top(reply["root"], command.request["cwd"])
        query = command.request["query"]
        print_search(output, answer, reply["texts"], query=query, prefix=prefix, as_json=as_json)
    else:
        print_feedback(output, answer, as_json=as_json)
    return 0


def _reader_left() -> int:
    """The reader had enough (``| head``): that is no failure, and nothing more is flushed."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return 0
