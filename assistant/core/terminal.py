"""The streams that a command reads from and writes to.

All output goes through a :class:`Stream`, so that no command can forget that what it prints may be
the text of strangers.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from git_copilot.index.core.escaping import printable, quote_path

TYPE_CHECKING = False  # the thin client imports this, and importing typing takes a while
if TYPE_CHECKING:
    from typing import TextIO

# Our own control sequences carry a mark that nobody can know who wrote the text around them.
_MARK = f"\x1b<{os.urandom(8).hex()}:"
_OWN = re.compile(re.escape(_MARK) + r"(\r\x1b\[K|\x1b\[[0-9;]*m)")
CLEAR_LINE = f"{_MARK}\r\x1b[K"
_RESET = f"{_MARK}\x1b[0m"
_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}


def style(text: str, *, fg: str = "", bold: bool = False, dim: bool = False) -> str:
    """``text`` in a style, line by line, so that a pager may begin anywhere. A stream that is no
    terminal, or has no colours, drops the style again."""
    codes = [str(_COLOURS[fg])] if fg else []
    codes += ["1"] * bold + ["2"] * dim
    begin = f"{_MARK}\x1b[{';'.join(codes)}m"
    return "\n".join(f"{begin}{x}{_RESET}" if x else x for x in text.split("\n"))


class Stream(io.TextIOBase):
    """A text stream that a command writes to. On a terminal (``screen``) nothing but line ends,
    tabs and our own sequences (:func:`style`, :data:`CLEAR_LINE`) is sent as control characters;
    elsewhere text passes as it is."""

    def __init__(self, stream: TextIO, *, screen: bool, colour: bool = False) -> None:
        self.below = stream
        self.screen = screen
        self.colour = screen and colour
        self.used = False  # whether anything was written

    def write(self, text: str, /) -> int:
        self.used = self.used or bool(text)
        self.below.write(self._on_screen(text) if self.screen else _OWN.sub("", text))
        return len(text)

    def _on_screen(self, text: str) -> str:
        # Of what is split at our own sequences every second part is one.
        parts = _OWN.split(text.replace("\r\n", "\n"))
        parts[0::2] = [printable(part, keep="\n\t") for part in parts[0::2]]
        parts[1::2] = [own if self.colour or own[-1] != "m" else "" for own in parts[1::2]]
        return "".join(parts)

    def flush(self) -> None:
        self.below.flush()

    def close(self) -> None:
        """The stream below stays open: it is not ours."""

    @property
    def closed(self) -> bool:
        return self.below.closed

    def isatty(self) -> bool:
        return self.screen

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.below.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.below.encoding or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return self.below.errors or "strict"


class Terminal:
    """The streams and the folder of one command."""

    def __init__(
        self,
        cwd: Path,
        stdin: Callable[[], bytes],
        out: TextIO,
        err: TextIO,
        *,
        screens: tuple[bool, bool] = (False, False),
        colour: bool = False,
    ) -> None:
        """:param screens: whether stdout and stderr go to a person's eyes."""
        self.cwd, self.stdin = cwd, stdin
        self.out = Stream(out, screen=screens[0], colour=colour)
        self.err = Stream(err, screen=screens[1], colour=colour)

    @classmethod
    def of_process(cls) -> Terminal:
        """This process's own streams."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                if stream.isatty():
                    stream.reconfigure(errors="backslashreplace")
                else:  # a path may be any bytes, and whoever reads them wants those bytes
                    stream.reconfigure(encoding="utf-8", errors="surrogateescape")
        return cls(
            Path.cwd(),
            sys.stdin.buffer.read,
            sys.stdout,
            sys.stderr,
            screens=(sys.stdout.isatty(), sys.stderr.isatty()),
            colour="NO_COLOR" not in os.environ,
        )

    @property
    def colour(self) -> bool:
        """Whether stdout shows colours."""
        return self.out.colour

    @property
    def looked_at(self) -> bool:
        """Whether stdout goes to a person's eyes."""
        return self.out.screen

    def heading(self, text: str) -> str:
        """A line of :meth:`echo` that stands out, where stdout shows colours."""
        return style(text, bold=True, fg="cyan")

    def echo(self, line: str) -> None:
        """Write one line to stdout. A terminal shows a line end within it as ``^J``: it comes from
        a name or a message, and would begin a line that nobody wrote."""
        self.out.write(f"{self._one_line(line, self.out)}\n")

    def echo_block(self, text: str) -> None:
        """Write lines to stdout, such as code."""
        self.out.write(f"{text}\n")

    def tell(self, line: str) -> None:
        """Write one line to stderr, as it is."""
        self.err.write(f"{self._one_line(line, self.err)}\n")

    def note(self, text: str) -> None:
        """Tell the user something on stderr that is not an error."""
        self.tell(f"git-copilot: {text}")
        self.err.flush()

    def name(self, path: str) -> str:
        """A file's name for :meth:`echo`: on a terminal quoted as git quotes it."""
        return quote_path(path) if self.out.screen else path

    @staticmethod
    def _one_line(line: str, stream: Stream) -> str:
        return line.replace("\n", "^J") if stream.screen else line
