"""The console script's entry: imports next to nothing before it can answer for an interruption.

What is interrupted ends with one line, also within the imports that follow.
"""

from __future__ import annotations

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
        if sys.stderr is not None:
            sys.stderr.write(f"git-copilot: {TOLD_INTERRUPTED}\n")
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
