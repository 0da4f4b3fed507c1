"""Lines and positions as the protocol counts them. Pure.

Lines end with ``\\n``, ``\\r\\n`` or ``\\r`` and nothing else: ``str.splitlines`` knows more, so that a
form feed would shift all lines behind it.
https://microsoft.github.io/language-server-protocol/specifications/lsp/3.18/specification/#position
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

UTF8, UTF16, UTF32 = "utf-8", "utf-16", "utf-32"
ENCODINGS = (UTF8, UTF16, UTF32)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in a text: a line and, in it, a number of code points, both from 0."""

    line: int
    column: int


def choose_encoding(offered: Iterable[str]) -> str:
    """The first of the client's encodings that is known here; UTF-16 where it offers none."""
    return next((name for name in offered if name in ENCODINGS), UTF16)


def split_lines(text: str) -> list[str]:
    """The lines with their ends; the last one has none and may be empty."""
    if "\r" not in text:
        *whole, last = text.split("\n")
        return [*(f"{line}\n" for line in whole), last]
    lines = _LINE.findall(text)
    return [*lines, text[sum(map(len, lines)) :]]


def line_text(line: str) -> str:
    """A line without its end."""
    return line.rstrip("\r\n")


def count_units(text: str, encoding: str) -> int:
    """The length of a text in code units."""
    if encoding == UTF32 or text.isascii():
        return len(text)
    if encoding == UTF8:
        return len(text.encode(UTF8, "surrogatepass"))
    return len(text) + sum(character > "\uffff" for character in text)


def index_at_units(text: str, units: int, encoding: str) -> int:
    """The number of code points within the first ``units`` code units: less than the text's, where
    they end within a character; all of them where the text is shorter."""
    if units <= 0:
        return 0
    if encoding == UTF32 or text.isascii():
        return min(units, len(text))
    for index, character in enumerate(text):
        units -= count_units(character, encoding)
        if units < 0:
            return index
    return len(text)
