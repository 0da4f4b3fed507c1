"""What a grammar says of a completion in its place: syntax errors and indentation. No I/O."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from git_copilot.index.classify import language_of
from git_copilot.index.parsing import parse

if TYPE_CHECKING:
    from tree_sitter import Node

# Lines on each side of the cursor that are parsed; what is further off is the same either way.
WINDOW_LINES = 120
# Longer ones are not parsed: it is done for every candidate.
MAX_WINDOW_BYTES = 1 << 16
# Where indentation is syntax and lines that end with a colon open a block.
INDENTED = frozenset({"python"})
# How a line looks on which a window may begin: not in the middle of a string, if possible.
_UNINDENTED = re.compile(r"[^\s)\]}]")
_BEGINS = {"python": re.compile(r"(?:def|class|async|import|from|if|for|with|try)\b|@")}


class Surroundings:
    """The text around a cursor, for questions about what is put between.

    :param path: of the file; a language without a grammar has no errors and no blocks.
    """

    def __init__(self, prefix: str, suffix: str, path: str) -> None:
        self.language = language_of(path)
        self._before = _window_before(prefix, _BEGINS.get(self.language, _UNINDENTED))
        self._after = _window_after(suffix)
        self.errors = lru_cache(maxsize=64)(self._errors)

    @property
    def judged(self) -> bool:
        """Whether there is a grammar."""
        return parse(b"", self.language) is not None

    def _errors(self, text: str) -> int:
        """Syntax errors of the whole with ``text`` in between; 0 without a grammar."""
        root = self._parse(text)
        count = 0
        pending = [] if root is None else [root]
        while pending:
            node = pending.pop()
            count += node.is_error or node.is_missing
            if node.has_error:
                pending.extend(node.children)
        return count

    def _parse(self, text: str) -> Node | None:
        window = (self._before + text + self._after).encode()
        return parse(window, self.language) if len(window) <= MAX_WINDOW_BYTES else None

    def behind_block(self, text: str) -> int:
        """Where a completion should have ended that leaves the block in which the suffix goes on:
        behind the last line that is indented as deep as the suffix, or that opens a block.

        :return: an offset, ``len(text)`` when it stays, or when indentation means nothing here.
        """
        following = _next_code_line(self._after)
        if self.language not in INDENTED or following is None:
            return len(text)
        depth, offset = following
        stem = self._before.rpartition("\n")[2]
        lines = (stem + text).split("\n")
        last = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].strip()), -1)
        if last < 0 or _holds(lines[last], depth):
            return len(text)
        begin = sum(len(line) + 1 for line in lines[:last]) - len(stem)
        if self._within(text, begin) or self._within(text, len(text) + offset):
            return len(text)
        while last >= 0 and not (lines[last].strip() and _holds(lines[last], depth)):
            last -= 1
        return max(0, len("\n".join(lines[: last + 1])) - len(stem))

    def _within(self, text: str, line: int) -> bool:
        """Whether the line that begins ``line`` characters behind the cursor lies in a string, in
        brackets or in an error that began on another line."""
        whole = self._before + text + self._after
        start = len(self._before) + line
        content = start + len(whole[start:]) - len(whole[start:].lstrip())
        begin, at = (len(whole[:offset].encode()) for offset in (start, content))
        root = self._parse(text)
        # From above: a node finds its parent by looking for it from the root on.
        cursor = root.walk() if root is not None else None
        while cursor is not None and cursor.goto_first_child_for_byte(at) is not None:
            node = cursor.node
            if node is None or not node.start_byte <= at < node.end_byte:
                break
            opening = node.child(0) if node.child_count else None
            if node.start_byte < begin and (
                node.is_error
                or "string" in node.type
                or (opening is not None and opening.type in ("(", "[", "{"))
            ):
                return True
        return False


def _window_before(prefix: str, begins: re.Pattern[str]) -> str:
    """The end of ``prefix``, from a line on which ``begins`` matches where there is one."""
    lines = prefix.split("\n")
    first = max(0, len(lines) - 1 - WINDOW_LINES)
    if not first:
        return prefix
    begin = first
    while begin < len(lines) - 1 and not begins.match(lines[begin]):
        begin += 1
    return "\n".join(lines[first if begin == len(lines) - 1 else begin :])


def _window_after(suffix: str) -> str:
    """The start of ``suffix``, up to a line that is not indented where there is one."""
    lines = suffix.split("\n", WINDOW_LINES + 1)
    if len(lines) <= WINDOW_LINES:
        return suffix
    end = WINDOW_LINES
    while end > 1 and (not lines[end] or lines[end][0].isspace() or lines[end][0] in ")]}"):
        end -= 1
    return "\n".join(lines[: end if end > 1 else WINDOW_LINES]) + "\n"


def _next_code_line(suffix: str) -> tuple[int, int] | None:
    """Indentation and offset of the first line that begins behind the cursor's and is neither
    blank nor a comment; ``None`` when there is none, or the cursor's line goes on."""
    first, _, rest = suffix.partition("\n")
    if first.strip():
        return None
    offset = len(first) + 1
    for line in rest.split("\n"):
        bare = line.lstrip()
        if bare and not bare.startswith("#"):
            return len(line) - len(bare), offset
        offset += len(line) + 1
    return None


def _holds(line: str, depth: int) -> bool:
    """Whether a line of indentation ``depth`` may follow."""
    return len(line) - len(line.lstrip()) >= depth or line.partition("#")[0].rstrip().endswith(":")
