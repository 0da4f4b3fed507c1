"""Runs the language server on standard input and output."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import BinaryIO

from git_copilot.assistant.core.process import open_standard_streams, tell_failure
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.environment import REPOSITORY_VARIABLES

# Their texts may quote somebody's code.
MOST_CHARACTERS = 200


class _OneLine(logging.Formatter):
    """A line without traceback; bugs have theirs in errors.log."""

    def format(self, record: logging.LogRecord) -> str:
        text = " ".join(record.getMessage().split())
        return f"git-copilot lsp: {text[:MOST_CHARACTERS]}"


def run_for_editor(argv: list[str]) -> int:
    """The language server as the console script starts it, without the command line's imports."""
    try:
        return serve_stdio()
    except CopilotError as exc:
        return tell_failure(argv, exc.message, exc.hint, exc.exit_code)


def serve_stdio() -> int:
    """Serve one editor until it leaves; the exit code.

    :raises CopilotError: a library is missing.
    """
    try:
        from git_copilot.assistant.lsp.copilot_dialect import CopilotDialect
        from git_copilot.assistant.lsp.server import EditorServer
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("git_copilot"):
            raise
        raise CopilotError(
            f"the language server needs {exc.name}", "install git-copilot[local]"
        ) from exc
    open_standard_streams()
    # An editor that git started would name its repository for all documents.
    for name in REPOSITORY_VARIABLES:
        os.environ.pop(name, None)
    handler = logging.StreamHandler()  # stderr
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    # Bugs are reported by the server; the library's own lines repeat each mistake of a client.
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    if sys.stdin.isatty():
        os.write(2, b"git-copilot: editors start this; Ctrl-D ends it\n")
    # The thread that reads standard input does not end by an exception.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    stdin, stdout = _own_streams()
    server = EditorServer()
    CopilotDialect(server)
    try:
        server.start_io(stdin, stdout)
    finally:
        server.completer.close()
    return 0


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the protocol alone: whatever else is printed goes to stderr."""
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return stdin, stdout
