"""Converts the indentation of a completion's new lines to that of their file: tabs or spaces. Pure.

A model that has seen little code with tabs continues with spaces behind ``{``; in a Makefile and in
Python that is an error. The rule: if nearly every indented line of the file begins with the same
character, new lines that begin with the other one are converted, level by level. Not converted are

- files without a grammar, where white space may be content;
- lines that begin in a string, a here-document, a comment or preformatted text;
- lines that are indented too deep for their place: these are aligned, not indented;
- tabs in a Makefile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from git_copilot.index.text.classify import TEXT, language_of
from git_copilot.index.text.parsing import parse

if TYPE_CHECKING:
    from tree_sitter import Node

# Characters on each side of the cursor from which the style is detected, and which are parsed.
STYLE_CHARACTERS, PARSED_CHARACTERS = 2**16, 2**14
# One in this many indented lines may be of the other kind, for alignment say.
EXCEPTIONS = 20
# Widths of a level in models' output, the usual one first.
WIDTHS = (4, 2, 8, 3)
OPENERS, CLOSERS = (":", "{", "(", "["), ("}", ")", "]")
_TABS, _SPACES = (
    re.compile(r"^\t[\t ]*[^\s*]", re.MULTILINE),
    re.compile(r"^  +[^\s*]", re.MULTILINE),
)
_OTHER_KIND = {"\t": re.compile(r"  +(?=[^\s*])"), " ": re.compile(r"\t+(?=\S)")}
_INDENTED = re.compile(r"^( *)\S", re.MULTILINE)
# Parts of the node names that grammars give to text with significant white space.
_TEXT_NODES = ("string", "heredoc", "template", "comment", "text_block")
_QUOTES = frozenset({'"', "'", "`", '"""', "'''", "string_start"})
_BACKTICKS = frozenset({"javascript", "typescript", "tsx", "go", "vue"})
_HEREDOC = re.compile(r"<<[-~]?[ ]*([\"']?)([A-Za-z_]\w*)\1")
_FIRST_WORD = re.compile(r"^[^\S\n]*(\w+)", re.MULTILINE)
_HEREDOCS = frozenset({"bash", "ruby", "perl", "php"})
_MARKUP = ("pre", "textarea")


def style_of(text: str) -> str | None:
    """One level of indentation: a tab or some spaces; ``None`` if the lines disagree, or none is
    indented."""
    tabs, spaces = len(_TABS.findall(text)), len(_SPACES.findall(text))
    if tabs > EXCEPTIONS * spaces:
        return "\t"
    if spaces <= EXCEPTIONS * tabs:
        return None
    depths = [len(found) for found in _INDENTED.findall(text)]
    steps = Counter(b - a for a, b in pairwise(depths) if 2 <= b - a <= 8)
    return " " * steps.most_common(1)[0][0] if steps else None


class Indentation:
    """The indentation style at one cursor."""

    def __init__(self, prefix: str, suffix: str, path: str) -> None:
        self._before, self._after = prefix, suffix
        self._language = language_of(path)
        self._line = prefix.rpartition("\n")[2]
        self._style: str | None = None
        self._style_known = self._language == TEXT
        self._cached = ("", "")

    def apply(self, text: str) -> str:
        """The completion ``text`` with its new lines indented in the style of the file."""
        lines = text.split("\n")
        first = 1 if self._line else 0  # with the cursor in column 1 the first line is new as well
        if not any(line[:1] in ("\t", " ") for line in lines[first:]):
            return text
        style = self._file_style()
        other_kind = _OTHER_KIND[style[0]] if style else None
        if other_kind is None or not any(other_kind.match(line) for line in lines[first:]):
            return text
        return "\n".join(self._converted(lines, first, style or "", other_kind))

    def apply_to_whole_lines(self, text: str) -> str:
        """The same for an unfinished completion: its last line is not changed."""
        whole, newline, line = text.rpartition("\n")
        if whole != self._cached[0]:
            self._cached = whole, self.apply(whole)
        return self._cached[1] + newline + line

    def until(self, finished: Callable[[str], bool]) -> Callable[[str], bool]:
        """``finished``, a test of unfinished text, applied to the text as indented here."""
        return lambda text: finished(self.apply_to_whole_lines(text))

    def _file_style(self) -> str | None:
        if not self._style_known:
            before = self._before[-STYLE_CHARACTERS:]
            self._style = style_of(before + "\n" + self._after[:STYLE_CHARACTERS])
            self._style_known = True
        if self._language == "make" and self._style != "\t":
            return None
        return self._style

    def _converted(
        self, lines: list[str], first: int, style: str, other_kind: re.Pattern[str]
    ) -> list[str]:
        kept = self._text_lines(lines)
        previous = self._line + lines[0] if first else ""
        previous = previous or self._before.rstrip().rpartition("\n")[2]
        width, found = 0, lines[:first]
        for number, line in enumerate(lines[first:], first):
            match = None if number in kept else other_kind.match(line)
            if match:
                opens = previous.rstrip().endswith(OPENERS)
                wanted = _depth(previous, style) + opens - line[match.end() :].startswith(CLOSERS)
                width = width or (_width(len(match[0]), wanted) if style == "\t" else 1)
                line = _reindented(line, len(match[0]), width, style, wanted + (not opens))
            found.append(line)
            if line.strip():
                previous = line
        return found

    def _text_lines(self, lines: list[str]) -> set[int]:
        """The numbers of the lines that begin in a string, a comment or the like."""
        before = self._before[-PARSED_CHARACTERS:]
        if len(before) < len(self._before):
            before = before[before.find("\n") + 1 :]
        written = "\n".join(lines)
        whole = (before + written + self._after[:PARSED_CHARACTERS]).encode()
        root = parse(whole, self._language)
        at, found = len(before.encode()), set()
        offset = 0
        for number, line in enumerate(lines):
            open_text = self._ends_in_string(self._before + written[:offset])
            if root is None or open_text or _within_text(root, at):
                found.add(number)
            at += len(line.encode()) + 1
            offset += len(line) + 1
        return found

    def _ends_in_string(self, text: str) -> bool:
        """Whether ``text`` ends in a multi-line string, which a grammar may miss as long as nothing
        closes it."""
        if self._language == "python":
            return any(text.count(quotes) % 2 for quotes in ('"""', "'''"))
        if self._language in _BACKTICKS and text.count("`") % 2:
            return True
        if self._language in _HEREDOCS:
            near = text[-STYLE_CHARACTERS:]
            begun = {match[2]: match.end() for match in _HEREDOC.finditer(near)}
            words = _FIRST_WORD.finditer(near) if begun else ()
            ended = {match[1]: match.start(1) for match in words}
            return any(ended.get(word, -1) < at for word, at in begun.items())
        if self._language in ("html", "vue"):
            return any(text.count(f"<{tag}") > text.count(f"</{tag}") for tag in _MARKUP)
        return False


def _depth(line: str, style: str) -> int:
    """The number of levels of ``style`` at the beginning of a line."""
    return (len(line) - len(line.lstrip(style[0]))) // len(style)


def _reindented(line: str, found: int, width: int, style: str, most: int) -> str:
    """``line`` in ``style``; unchanged if its ``found`` characters of the other kind, ``width`` per
    level, are no whole number of levels or more than ``most``."""
    depth, rest = divmod(found, width) if width else (0, 1)
    return line if rest or depth > most else style * depth + line[found:]


def _width(spaces: int, expected: int) -> int:
    """The width of a level if ``spaces`` are probably ``expected`` levels; 0: none fits."""
    fitting = [width for width in WIDTHS if spaces % width == 0]
    return min(fitting, key=lambda width: abs(spaces // width - expected), default=0)


def _within_text(root: Node, at: int) -> bool:
    """Whether a text node begins before the byte ``at``, the first of a line, and ends after it."""
    node = root.descendant_for_byte_range(at, at)
    while node is not None:
        if node.start_byte < at < node.end_byte:
            if any(part in node.type for part in _TEXT_NODES):
                return True
            if node.is_error and any(c.type in _QUOTES and c.end_byte <= at for c in node.children):
                return True
        node = node.parent
    return False
