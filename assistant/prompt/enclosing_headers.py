"""The headers of the functions and classes around a cursor, for prompts that begin below them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Headers further out, and lines further up, are not looked for.
MAX_HEADERS, MAX_LINES = 3, 2000
# A header that takes more lines than this is left out.
MAX_HEADER_LINES = 8
_HEADER = re.compile(
    r"\s*(?:(?:export|default|public|private|protected|internal|static|final|abstract|override|async"
    r"|pub(?:\([a-z]+\))?|unsafe|extern|const)\s+)*"
    r"(?:def|class|function|func|fn|impl|struct|interface|trait|enum|module|namespace)\b"
)
_OPENS = re.compile(r"[:{]\s*(?:#.*|//.*)?$")


def enclosing_headers(lines: Sequence[str]) -> list[tuple[int, str]]:
    """The headers around the last of ``lines``, outermost first: the index of each one's first line,
    and its text."""
    found: list[tuple[int, str]] = []
    depth = _depth_at_end(lines)
    for number in range(len(lines) - 2, max(-1, len(lines) - MAX_LINES), -1):
        if depth == 0 or len(found) == MAX_HEADERS:
            break
        line = lines[number]
        if not line.strip() or (indent := len(line) - len(line.lstrip())) >= depth:
            continue
        if line.lstrip()[0] in ")]}":  # the end of a header of several lines, or of another block
            continue
        depth = indent
        if _HEADER.match(line):
            text = _whole_header(lines[number : number + MAX_HEADER_LINES])
            if text is not None:
                found.append((number, text))
    return found[::-1]


def _depth_at_end(lines: Sequence[str]) -> int:
    """The indentation of the last line, or of the block in which it stands."""
    if lines[-1].strip():
        return len(lines[-1]) - len(lines[-1].lstrip())
    above = next((line for line in reversed(lines[:-1]) if line.strip()), "")
    indent = len(above) - len(above.lstrip())
    typed = len(lines[-1])
    return max(typed, indent + 1 if _OPENS.search(above) else indent)


def _whole_header(lines: Sequence[str]) -> str | None:
    """The lines of a header up to the one that opens its block."""
    for count, line in enumerate(lines, 1):
        if _OPENS.search(line):
            return "\n".join(lines[:count])
    return None
