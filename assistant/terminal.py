"""Where a command reads from and writes to: the process's streams, or a client's over a socket."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO


@dataclass(slots=True)
class Terminal:
    """The streams and the folder of one command. ``colour``: output goes to a person's eyes.

    ``on_text`` gets a completion's lines while they are written, where somebody wants them.
    """

    cwd: Path
    stdin: Callable[[], bytes]
    out: TextIO
    err: TextIO
    colour: bool = False
    cancelled: Callable[[], bool] = field(default=lambda: False)
    on_text: Callable[[str], None] | None = None

    @classmethod
    def of_process(cls) -> Terminal:
        """This process's own streams."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A path may be any bytes; printing it must not fail.
                stream.reconfigure(errors="surrogateescape")
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        return cls(Path.cwd(), sys.stdin.buffer.read, sys.stdout, sys.stderr, colour)

    def echo(self, text: str) -> None:
        """Write a line to stdout."""
        self.out.write(f"{text}\n")

    def note(self, text: str) -> None:
        """Tell the user something on stderr that is not an error."""
        self.err.write(f"git-copilot: {text}\n")
        self.err.flush()


class ProgressBar:
    """A :class:`~git_copilot.index.types.Progress` on a terminal; silent on a pipe."""

    WIDTH = 24

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._shown = err.isatty()
        self._last = ""

    def __call__(self, label: str, done: int, total: int) -> None:
        if not self._shown:
            return
        if total:
            filled = self.WIDTH * min(done, total) // total
            line = f"{label} [{'#' * filled}{'.' * (self.WIDTH - filled)}] {done}/{total}"
        else:
            line = f"{label} …"
        if line != self._last:
            self._last = line
            self._err.write(f"\r\033[K{line}")
            self._err.flush()

    def finish(self) -> None:
        """Clear the line."""
        if self._shown and self._last:
            self._err.write("\r\033[K")
            self._err.flush()
            self._last = ""
