"""Syntax errors and indentation of a completion in its place, by a grammar. No I/O."""

from __future__ import annotations

import ast
import posixpath
import re
import warnings
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from git_copilot.index.text.classify import language_of
from git_copilot.index.text.parsing import parse

if TYPE_CHECKING:
    from tree_sitter import Node

# Lines on each side of the cursor that are parsed; text further away is the same either way. A
# window begins and ends at an unindented line, which may be further away.
WINDOW_LINES, MAX_WINDOW_LINES = 120, 1500
# Longer windows are not parsed, since every candidate parses one.
MAX_WINDOW_BYTES = 1 << 16
# With more errors than this, what a completion adds says nothing; each parse of such a text takes long.
# It is found out once for a place, and not for windows that take no time.
MAX_ERRORS, CHEAP_CHARACTERS = 200, 8192
# Python refuses more than a hundred levels.
MAX_INDENTATION = 400
# Languages in which indentation is syntax and a colon at a line's end opens a block.
INDENTED = frozenset({"python"})
# Grammars of files that the index reads as plain text.
GRAMMARS = {
    "json": "json", "yml": "yaml", "yaml": "yaml", "toml": "toml", "xml": "xml", "scss": "scss",
}  # fmt: skip
# Lines on which a window may begin: not in the middle of a string, if possible.
_UNINDENTED = re.compile(r"[^\s)\]}]")
_BEGINS = {"python": re.compile(r"(?:def|class|async|import|from|if|for|with|try)\b|@")}


class Surroundings:
    """The text around a cursor, for questions about text inserted between.

    :param path: of the file; without a grammar for its language there are no errors and no blocks.
    """

    def __init__(self, prefix: str, suffix: str, path: str) -> None:
        self.language = language_of(path)
        extension = posixpath.basename(path).lower().rpartition(".")[2]
        self._grammar = GRAMMARS.get(extension, self.language)
        self._before = _window_before(prefix, _BEGINS.get(self.language, _UNINDENTED))
        self._after = _window_after(suffix)
        self.errors = lru_cache(maxsize=64)(self._errors)

    @property
    def judged(self) -> bool:
        """Whether there is a grammar."""
        return parse(b"", self._grammar) is not None

    @property
    def whole(self) -> bool:
        """Whether the text parses without a completion."""
        return (
            self.judged
            and not self._shapeless
            and not self.errors("")
            and (self.language != "python" or self._parses_as_python)
        )

    @cached_property
    def _parses_as_python(self) -> bool:
        """Whether Python itself parses the text. The grammar is more lenient: it accepts
        definitions without a body, and lines of any indentation."""
        return _is_python(self._before + self._after)

    def _errors(self, text: str) -> int:
        """Syntax errors of the whole with ``text`` in between; 0 without a grammar."""
        count = self._tree_errors(text)
        if count or not text or self.language != "python" or not self._parses_as_python:
            return count
        return 0 if _is_python(self._before + text + self._after) else 1

    def _tree_errors(self, text: str) -> int:
        return _count_errors(self._parse(text))

    @cached_property
    def _shapeless(self) -> bool:
        size = len(self._before) + len(self._after)
        known = CHEAP_CHARACTERS < size <= MAX_WINDOW_BYTES
        return known and _is_shapeless(self._before, self._after, self._grammar)

    def _parse(self, text: str) -> Node | None:
        if self._shapeless:
            return None
        window = (self._before + text + self._after).encode()
        return parse(window, self._grammar) if len(window) <= MAX_WINDOW_BYTES else None

    def behind_block(self, text: str) -> int:
        """Where a completion should have ended that leaves the block in which the suffix continues:
        behind the last line that is indented as deep as the suffix, or that opens a block.

        :return: an offset; ``len(text)`` if it stays in the block, or if indentation is no syntax.
        """
        following = _next_code_line(self._after)
        if self.language not in INDENTED or following is None:
            return len(text)
        depth, offset = following
        stem = self._before.rpartition("\n")[2]
        lines = (stem + text).split("\n")
        last = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].strip()), -1)
        if last < 0 or _allows(lines[last], depth):
            return len(text)
        begin = sum(len(line) + 1 for line in lines[:last]) - len(stem)
        if self._within(text, begin) or self._within(text, len(text) + offset):
            return len(text)
        while last >= 0 and not (lines[last].strip() and _allows(lines[last], depth)):
            last -= 1
        return max(0, len("\n".join(lines[: last + 1])) - len(stem))

    def _within(self, text: str, line: int) -> bool:
        """Whether the line that begins ``line`` characters behind the cursor is in a string, in
        brackets or in an error that began on another line."""
        whole = self._before + text + self._after
        start = len(self._before) + line
        content = start + len(whole[start:]) - len(whole[start:].lstrip())
        begin, at = (len(whole[:offset].encode()) for offset in (start, content))
        root = self._parse(text)
        # From the root down: a node finds its parent by searching from the root.
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


def _count_errors(root: Node | None) -> int:
    count = 0
    pending = [] if root is None else [root]
    while pending:
        node = pending.pop()
        count += node.is_error or node.is_missing
        if node.has_error:
            pending.extend(node.children)
    return count


@lru_cache(maxsize=8)
def _is_shapeless(before: str, after: str, grammar: str) -> bool:
    """Whether a text without a completion has too many errors to be judged."""
    if parse(b"", grammar) is None:
        return False  # no grammar at all
    root = parse((before + after).encode(), grammar)
    return root is None or _count_errors(root) > MAX_ERRORS


def _is_python(text: str) -> bool:
    """Whether Python parses ``text``, which may begin inside a block."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    depth = len(first) - len(first.lstrip(" "))
    if depth > MAX_INDENTATION or len(text) > MAX_WINDOW_BYTES:
        return False
    outer = "".join(f"{' ' * at}if 1:\n" for at in range(0, depth, 4))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(outer + text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _window_before(prefix: str, begins: re.Pattern[str]) -> str:
    """The end of ``prefix``, from a line that ``begins`` matches if there is one."""
    lines = prefix.rsplit("\n", WINDOW_LINES + MAX_WINDOW_LINES + 1)
    first = len(lines) - 1 - WINDOW_LINES
    if first <= 0:
        return prefix
    near = range(first, len(lines) - 1)
    far = range(first - 1, max(-1, first - MAX_WINDOW_LINES), -1)
    begin = next((i for i in (*near, *far) if begins.match(lines[i])), max(0, far.stop + 1))
    return "\n".join(lines[begin:])


def _window_after(suffix: str) -> str:
    """The start of ``suffix``, up to a blank line before an unindented one if there is one: a
    decorator or a comment stays with the lines below it."""
    lines = suffix.split("\n", MAX_WINDOW_LINES + 1)
    if len(lines) <= WINDOW_LINES:
        return suffix
    near, far = (
        range(WINDOW_LINES, 1, -1),
        range(WINDOW_LINES + 1, min(len(lines), MAX_WINDOW_LINES)),
    )
    found = (i for i in (*near, *far) if _UNINDENTED.match(lines[i]) and not lines[i - 1].strip())
    end = next(found, len(lines))
    return suffix if end > MAX_WINDOW_LINES else "\n".join(lines[:end]) + "\n"


def _next_code_line(suffix: str) -> tuple[int, int] | None:
    """Indentation and offset of the first line below the cursor's that is neither blank nor a
    comment; ``None`` if there is none, or if the cursor's line continues."""
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


def _allows(line: str, depth: int) -> bool:
    """Whether a line of indentation ``depth`` may follow ``line``."""
    return len(line) - len(line.lstrip()) >= depth or line.partition("#")[0].rstrip().endswith(":")
