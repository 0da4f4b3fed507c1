"""The console script's entry: imports next to nothing before it can answer for an interruption.

What is interrupted ends with one line, also within the imports that follow.
"""

from __future__ import annotations

import os
import sys

EXIT_INTERRUPTED = 130
TOLD_INTERRUPTED = "interrupted; what was finished is kept"


def main() -> int:
    """Entry point of ``git-copilot``."""
    try:
        from git_copilot.assistant.client import main as run

        return run()
    except KeyboardInterrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the second one would end in a traceback
        return tell_failure(sys.argv[1:], TOLD_INTERRUPTED, "", EXIT_INTERRUPTED)


def tell_failure(argv: list[str], message: str, hint: str, exit_code: int) -> int:
    """Tell a failure as boundary.py does, where that was not imported yet; its exit code."""
    from git_copilot.index.errors import error_json, wants_json
    from git_copilot.index.neutral import printable

    line = f"{message}; {hint}" if hint else message
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"git-copilot: {printable(line) if sys.stderr.isatty() else line}\n")
        if sys.stdout is not None and wants_json(argv):
            sys.stdout.write(f"{error_json(message, hint, exit_code)}\n")
            sys.stdout.flush()
    except OSError:
        pass  # the streams may be what failed
    return exit_code


def open_standard_streams() -> None:
    """Put /dev/null where the caller closed a standard stream (``<&-``)."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


if __name__ == "__main__":
    sys.exit(main())
