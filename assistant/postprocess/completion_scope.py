"""Where a completion ends if its model cannot decide: after the line, or the block. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from git_copilot.assistant.postprocess.bracket_balance import MAX_LINE

OPENERS, CLOSERS = "([{", ")]}"
BLOCK_OPENERS = (":", "{")
# An open bracket may continue a statement over this many lines.
MAX_OPEN_LINES = 10
MAX_BLOCK_LINES = 12
# Beginnings of lines that continue the block before them.
CONTINUATIONS = ("elif", "else", "except", "finally", "catch", "rescue", "elsif", *CLOSERS)


class CompletionScope:
    """The scope of a completion: the rest of a line, or a block of whole lines.

    ``block`` is true on a blank line and behind ``:`` or ``{``; ``inside`` if text follows on the
    cursor's line.
    """

    def __init__(self, prefix: str, rest: str) -> None:
        """:param rest: the text behind the cursor on its line."""
        above, _, line = prefix.rpartition("\n")
        self._line = line[-MAX_LINE:]
        self.inside = bool(rest.strip())
        bare = self._line.rstrip()
        self.block = not self.inside and (not bare or bare.endswith(BLOCK_OPENERS))
        # The line that opens the block, if one does; its indentation is not the block's.
        opener = bare or above.rstrip().rpartition("\n")[2]
        self._outer = _indent(opener) if opener.endswith(BLOCK_OPENERS) else -1

    def end(self, lines: Sequence[str]) -> int | None:
        """How many of the written lines are within the scope, once the last of them decides it;
        ``None`` as long as all of them may be."""
        full_lines = [self._line + lines[0], *lines[1:]]
        if self.block:
            return self._block_end(full_lines, 1 if self._line.strip() else 0)
        if self.inside:
            return 1
        if not lines[0].strip() and open_brackets(self._line) <= 0:
            # The cursor's line was complete: the scope is the rest of its block.
            left = lines[-1].strip() and _indent(lines[-1]) < _indent(self._line)
            return _without_blank(lines, len(lines) - 1) if left else self._block_end(full_lines, 1)
        over = len(lines) > MAX_OPEN_LINES
        return len(lines) if over or open_brackets("\n".join(full_lines)) <= 0 else None

    def _block_end(self, lines: Sequence[str], start: int) -> int | None:
        """The end of the block that begins at line ``start``: before the first line outside it, or
        after too many lines. If no line opens it, a blank line ends it, and so does a new statement
        behind an indented block."""
        number = len(lines) - 1
        first = next((i for i in range(start, len(lines)) if lines[i].strip()), number)
        if number < start or not lines[first].strip():
            return None
        indent, base, opened = _indent(lines[number]), _indent(lines[first]), self._outer >= 0
        if not lines[number].strip():
            return None if opened else number
        if number == first:
            return start if indent <= self._outer else None
        if indent < base:
            bare = lines[number].strip()
            if indent != self._outer or not bare.startswith(tuple(CLOSERS)):
                return _without_blank(lines, number)
            return None if bare.endswith(BLOCK_OPENERS) else number + 1
        if not opened and indent == base and self._starts_statement(lines, number, base):
            return number
        return _without_blank(lines, number) if number > MAX_BLOCK_LINES else None

    def _starts_statement(self, lines: Sequence[str], number: int, base: int) -> bool:
        """Whether the line is a new statement behind an indented block."""
        return _indent(lines[number - 1]) > base and not lines[number].lstrip().startswith(
            CONTINUATIONS
        )


def _without_blank(lines: Sequence[str], count: int) -> int:
    while count and not lines[count - 1].strip():
        count -= 1
    return count


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def open_brackets(text: str) -> int:
    """Brackets opened minus closed, outside of (single-line) strings, roughly."""
    depth, quote = 0, ""
    for i, char in enumerate(text):
        if quote:
            if char == "\n" or (char == quote and text[i - 1] != "\\"):
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in OPENERS:
            depth += 1
        elif char in CLOSERS:
            depth -= 1
    return depth
