"""The console script's entry: imports next to nothing before it can answer for an interruption.

What is interrupted ends with one line, also within the imports that follow.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Entry point of ``git-copilot``: the thin client, or the full command line."""
    try:
        if _starts_language_server(sys.argv[1:]):
            from git_copilot.assistant.lsp.main import run_for_editor

            return run_for_editor(sys.argv[1:])
        from git_copilot.assistant.client.main import ask_for

        code, stdin = ask_for(sys.argv[1:])
        if code is not None:
            return code
        from git_copilot.assistant.cli.main import run

        return run(sys.argv[1:], stdin)
    except KeyboardInterrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the second one would end in a traceback
        from git_copilot.assistant.core.process import (
            EXIT_INTERRUPTED,
            TOLD_INTERRUPTED,
            tell_failure,
        )

        return tell_failure(sys.argv[1:], TOLD_INTERRUPTED, "", EXIT_INTERRUPTED)


def _starts_language_server(argv: list[str]) -> bool:
    """Whether an editor starts us: ``lsp`` with the options that clients add, or such options alone,
    from a client that takes a path without arguments."""
    words = argv[1:] if argv[:1] == ["lsp"] else argv
    if not words:
        return argv == ["lsp"]
    return all(word == "--stdio" or word.startswith("--clientProcessId=") for word in words)


if __name__ == "__main__":
    sys.exit(main())
