"""Start and end of every process: standard streams, threads, the final error line.

Standard library only: the thin client imports it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

EXIT_INTERRUPTED = 130
TOLD_INTERRUPTED = "interrupted; what was finished is kept"


def tell_failure(argv: list[str], message: str, hint: str, exit_code: int) -> int:
    """Report a failure as error_handler.py does, before that is imported. Returns the exit code."""
    from git_copilot.index.core.errors import error_json, wants_json
    from git_copilot.index.core.escaping import printable

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


def calm_threads() -> None:
    """Let OpenMP's threads sleep soon when they wait; to be called before torch is imported.

    By default they spin, which costs nothing on an idle machine; beside two busy processes a
    decoding step of eight rows then takes 1.9 s, and 0.09 s with this.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


# glibc then asks for pages of 2 MB where it takes memory from the system.
LARGE_PAGES = "glibc.malloc.hugetlb=1"
_TUNABLES = "GLIBC_TUNABLES"


def with_large_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that holds a model. Decoding reads all weights for each token,
    and with pages of 4 kB a tenth of the time goes into looking up where they are.

    Other C libraries ignore it; whoever has set the tunable keeps the value.
    """
    others = environment.get(_TUNABLES, "")
    if "glibc.malloc.hugetlb" in others:
        return dict(environment)
    return {**environment, _TUNABLES: f"{others}:{LARGE_PAGES}" if others else LARGE_PAGES}


def forget_large_pages() -> None:
    """Spare the processes that this one starts the tunable, which it read when it began."""
    others = [part for part in os.environ.pop(_TUNABLES, "").split(":") if part != LARGE_PAGES]
    if any(others):
        os.environ[_TUNABLES] = ":".join(others)
