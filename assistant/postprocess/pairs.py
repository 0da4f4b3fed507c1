"""The pairs that an editor closes by itself: what is open on the cursor's line. Pure."""

from __future__ import annotations

from git_copilot.assistant.postprocess.bracket_balance import (
    MAX_LINE,
    BracketBalance,
    common_frames,
    frames_above,
)
from git_copilot.assistant.postprocess.language_notation import notation_of
from git_copilot.assistant.postprocess.lexer import (
    BLOCK,
    BRACKET,
    INSIDE,
    LINE,
    PROSE,
    STRING,
    Frame,
    Lexer,
    Stack,
)

CLOSING = ")]}\"'`"
# What may follow the closers of a line.
ENDINGS = ("", ",", ":", ";")


class OpenPairs:
    """The brackets and strings that are open at a cursor.

    ``closers`` closes those that were opened on the cursor's line, the innermost first, as an
    editor has inserted them behind the cursor.
    """

    def __init__(self, prefix: str, path: str) -> None:
        notation = notation_of(path)
        self._lexer = Lexer(notation)
        above, newline, line = prefix.rpartition("\n")
        if len(line) > MAX_LINE:  # minified code or data: no pair there is an editor's
            above, newline, line = "", "", ""
        self._line = newline + line  # patterns for the beginning of a line need the line end
        self._above = frames_above(notation, above)
        self._stack = self._read(self._line)
        own = self._stack[len(common_frames(self._above, self._stack)) :]
        self.closers = "".join(frame.closer for frame in reversed(own) if _is_pair(frame))

    def _read(self, text: str) -> Stack:
        stack = self._above
        for mark in self._lexer.marks(text, self._above, careful_until=len(text)):
            stack = mark.stack
        return stack

    @property
    def in_prose(self) -> bool:
        """Whether the cursor is in a comment, or in a string that began on another line."""
        return self.in_comment or any(frame.kind == STRING for frame in self._above)

    @property
    def in_comment(self) -> bool:
        """Whether the cursor is in a comment."""
        return any(frame.kind in (LINE, BLOCK) for frame in self._stack)

    @property
    def in_string(self) -> bool:
        """Whether the cursor is in the text of a string, not in an expression inside it."""
        inner = next((f.kind for f in reversed(self._stack) if f.kind != PROSE), "")
        return inner == STRING

    def end(self, behind: str) -> int | None:
        """Where the innermost pair is closed in ``behind``, the text right of the cursor.

        :return: the offset of its closer; ``None`` where there is no pair or no closer.
        """
        depth, begin = len(self._stack), len(self._line)
        if not self.closers:
            return None
        text = self._line + behind
        for mark in self._lexer.marks(text, self._above, careful_until=len(text)):
            if mark.end > begin and mark.stack[:depth] != self._stack:
                return mark.start - begin if len(mark.stack) == depth - 1 else None
        return None

    def inside(self, text: str) -> str:
        """The part of ``text`` before the closer of the innermost pair; all of it where none is."""
        return text[: self.end(text)]

    @property
    def frames(self) -> Stack:
        """What is open at the cursor, without the brackets of prose, which need no closer."""
        return tuple(frame for frame in self._stack if frame.kind != PROSE)

    def is_closed(self, text: str) -> bool:
        """Whether ``text`` behind the cursor leaves no more open than was open on the line above."""
        return len(self._read(self._line + text)) <= len(self._above)


class ClosedPairs:
    """The pairs at a cursor that an editor has closed right of it."""

    def __init__(self, prefix: str, suffix: str, path: str) -> None:
        """:param suffix: with the closers."""
        self._open = OpenPairs(prefix, path)
        self._balance = BracketBalance(prefix, suffix, path)

    def end(self, text: str) -> int | None:
        """See :meth:`OpenPairs.end`."""
        return self._open.end(text)

    def inside(self, text: str) -> str:
        """The part of ``text`` that fits before the closers: it closes what it opens, and nothing
        else."""
        inside = self._open.inside(text)
        return inside[: self._balance.cut(inside)]


def closers_behind(prefix: str, suffix: str, path: str) -> str:
    """The closers right of the cursor that an editor may have inserted there: the rest of the line
    is nothing but what closes the pairs that were opened before the cursor on it, and at most a
    comma, a colon or a semicolon."""
    rest = suffix.partition("\n")[0].rstrip()
    if not rest or rest[0] not in CLOSING:
        return ""
    closers = OpenPairs(prefix, path).closers
    size = 0
    while size < min(len(rest), len(closers)) and rest[size] == closers[size]:
        size += 1
    return rest[:size] if rest[size:].strip() in ENDINGS else ""


def _is_pair(frame: Frame) -> bool:
    return frame.kind in (BRACKET, INSIDE, STRING)
