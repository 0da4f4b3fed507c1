"""Keeps brackets, quotes and tags balanced around a completion. Pure.

The text behind the cursor closes what was opened before it, in complete files and wherever an
editor closes brackets automatically. A completion in between may close only what it opened itself.
Without a grammar (lexer.py) this works for JSON, YAML and prose as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from git_copilot.assistant.postprocess.language_notation import Notation, notation_of
from git_copilot.assistant.postprocess.lexer import (
    BRACKET,
    INSIDE,
    LINE,
    MAX_DEPTH,
    Frame,
    Lexer,
    Mark,
    Stack,
)

# Characters on each side of the cursor that are read; MAX_CHARACTERS if all lines are indented.
BEFORE, AFTER, MAX_CHARACTERS = 12_288, 12_288, 65_536
# Of a longer line the end is read: it is minified code or data.
MAX_LINE = 4096
# Brackets and quotes that are read on each side; indented JSON of MAX_CHARACTERS has 11,000.
MAX_TOKENS = 16_384
_TOKENS = re.compile(r"[()\[\]{}\"'`]")
_UNINDENTED = re.compile(r"\n(?=[^\s)\]}<#/*-])")
# Characters that separate parts of a text outside of its brackets.
SEPARATORS = ",;"
MAX_TRIES = 24
# Characters behind a completion in which no token is skipped; after them the text mostly reads as
# without a completion.
CAREFUL = 200


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of reading the text: see
    :class:`~git_copilot.assistant.postprocess.lexer.Mark`."""

    faults: int
    loose: int
    stack: Stack


class BracketBalance:
    """The brackets that are open at a cursor, and those that the text behind it closes."""

    def __init__(self, prefix: str, suffix: str, path: str) -> None:
        notation = notation_of(path)
        self._lexer = Lexer(notation)
        above, newline, line = prefix.rpartition("\n")
        if len(line) > MAX_LINE:
            self._line, self._begin = line[-MAX_LINE:], Stack()
        else:
            self._line = newline + line  # patterns for the beginning of a line need the line end
            self._begin = frames_above(notation, above)
        self._after, self._is_truncated = _text_after(suffix)
        self._states: dict[int, Mark] = {}
        self._open_at_cursor, self._base = self._begin, _Outcome(0, 0, ())
        self._base = self._read("", first=True)
        self._base_imbalance = self._imbalance(self._base)
        self._closes_next = self._is_closed_next()

    @property
    def balanced(self) -> bool:
        """Whether the text is balanced without a completion."""
        return self._base_imbalance == 0

    @property
    def inside_empty_pair(self) -> bool:
        """Whether the cursor is between an opener and its closer, with nothing else inside."""
        opener = [
            mark
            for mark in self._lexer.marks(self._line, self._begin, careful_until=len(self._line))
        ]
        return self._closes_next and bool(opener) and opener[-1].end == len(self._line)

    def fits(self, text: str) -> bool:
        """Whether ``text`` leaves the balance no worse than it is."""
        found = self._read(text)
        imbalance = self._imbalance(found)
        if imbalance != self._base_imbalance:
            return imbalance < self._base_imbalance
        if found.loose > self._base.loose:
            return False
        return not self._closes_next or self._stays_inside(text)

    def with_brackets_closed(self, text: str, *, strings: bool = False) -> str:
        """``text`` with its open brackets closed, and with ``strings`` also strings of one line."""
        stack, depth = self._open_behind(text), len(self._open_at_cursor)
        own = stack[depth:]
        if stack[:depth] != self._open_at_cursor or not all(
            _is_short(frame, strings) for frame in own
        ):
            return text
        return text + "".join(frame.closer for frame in reversed(own))

    def missing_closers(self, text: str) -> str | None:
        """What closes all that is open behind ``text`` and that the text behind the cursor leaves
        open; ``None`` where that closes some of it only."""
        left = len(common_frames(self._open_at_cursor, self._base.stack))
        if left == 0:
            return ""
        if left < len(self._open_at_cursor):
            return None
        return "".join(frame.closer for frame in reversed(self._open_behind(text)))

    def leaves_open(self, text: str) -> bool:
        """Whether ``text`` opens a bracket or a string that it does not close."""
        return len(self._open_behind(text)) > len(self._open_at_cursor)

    def cut(self, text: str) -> int:
        """The length of the longest prefix of ``text`` that fits and ends before a closing bracket,
        a comma or a line end; or of all of it."""
        if self.fits(text):
            return len(text)
        ends = {i for i, char in enumerate(text) if char == "\n"} | self._ends(text)
        tries = sorted((end for end in ends if end > 0), reverse=True)[:MAX_TRIES]
        return next((end for end in tries if self.fits(text[:end])), 0)

    def _ends(self, text: str) -> set[int]:
        """The offsets of closers, and of separators outside of the brackets of ``text``."""
        begin, place, stack, ends = len(self._line), 0, self._open_at_cursor, set[int]()
        for mark in [*self._marks(text), None]:
            start = len(text) if mark is None else max(mark.start - begin, 0)
            if stack == self._open_at_cursor:
                ends.update(i for i in range(place, start) if text[i] in SEPARATORS)
            if mark is not None:
                if len(mark.stack) <= len(stack):
                    ends.add(start)
                stack, place = mark.stack, mark.end - begin
        return ends

    def _imbalance(self, outcome: _Outcome) -> int:
        """The number of closers without openers and openers without closers."""
        if not self._is_truncated:
            return outcome.faults + self._lexer.unclosed(outcome.stack)
        # The text that closes the rest was not read: the open frames must stay the same.
        own, base = outcome.stack, self._base.stack
        same = sum(1 for _ in common_frames(own, base))
        return outcome.faults + self._lexer.unclosed(own[same:] + base[same:])

    def _marks(self, text: str) -> list[Mark]:
        """The marks within a completion."""
        begin = len(self._line)
        free = begin, begin + len(text)
        found = self._lexer.marks(self._line + text, self._begin, free, free[1])
        return [mark for mark in found if mark.end > begin]

    def _open_behind(self, text: str) -> Stack:
        marks = self._marks(text)
        return marks[-1].stack if marks else self._open_at_cursor

    def _stays_inside(self, text: str) -> bool:
        """Whether nothing that is open at the cursor gets closed, and nothing new stays open."""
        depth, stack = len(self._open_at_cursor), self._open_at_cursor
        for mark in self._marks(text):
            stack = mark.stack
            if stack[:depth] != self._open_at_cursor:
                return False
        return stack == self._open_at_cursor

    def _is_closed_next(self) -> bool:
        """Whether the first token behind the cursor closes what was opened last before it."""
        if not self._open_at_cursor or self._open_at_cursor[-1].kind == LINE:
            return False
        begin = len(self._line)
        balanced = self._line + self._after
        for mark in self._lexer.marks(balanced, self._begin, careful_until=len(balanced)):
            if mark.end > begin:
                return (
                    mark.stack == self._open_at_cursor[:-1]
                    and not balanced[begin : mark.start].strip()
                )
        return False

    def _read(self, text: str, *, first: bool = False) -> _Outcome:
        """Read the text with a completion, until its state is the same as without one."""
        begin = len(self._line)
        end = begin + len(text)
        stack, faults, loose = self._begin, 0, 0
        for mark in self._lexer.marks(
            self._line + text + self._after, self._begin, (begin, end), end + CAREFUL
        ):
            _, _, stack, faults, loose = mark
            if first:
                if mark.end <= begin:
                    self._open_at_cursor = stack
                else:
                    self._states[mark.end - begin] = mark
            elif mark.start >= end:
                known = self._states.get(mark.end - end)
                if known is not None and known.stack == stack:
                    faults += self._base.faults - known.faults
                    loose += self._base.loose - known.loose
                    return _Outcome(faults, loose, self._base.stack)
        return _Outcome(faults, loose, stack)


def _is_short(frame: Frame, strings: bool) -> bool:
    """Whether it is a bracket or, with ``strings``, a single-line string."""
    string = strings and frame.quote is not None and not frame.quote.lines
    return frame.kind in (BRACKET, INSIDE) or string


def common_frames(one: Stack, other: Stack) -> Stack:
    """The frames with which both begin."""
    size = 0
    while size < min(len(one), len(other)) and one[size] == other[size]:
        size += 1
    return one[:size]


def _text_before(text: str) -> str:
    """The end of ``text``, from the start of an unindented line if there is one."""
    if len(text) <= BEFORE:
        return text
    near = _UNINDENTED.search(text, len(text) - BEFORE)
    if near is not None:
        return text[near.start() + 1 :]
    if _many_tokens(text[-MAX_CHARACTERS:]) is not None:
        return text[-BEFORE:]
    far = list(_UNINDENTED.finditer(text, max(0, len(text) - MAX_CHARACTERS), len(text) - BEFORE))
    return text[far[-1].start() + 1 if far else -MAX_CHARACTERS :]


def _text_after(text: str) -> tuple[str, bool]:
    """The start of ``text``, up to an unindented line, where nothing from the cursor should be
    open, and whether it was truncated for want of such a line."""
    if len(text) <= AFTER:
        return text, False
    found = list(_UNINDENTED.finditer(text, AFTER // 4, AFTER))
    end = found[-1] if found else _UNINDENTED.search(text, AFTER, MAX_CHARACTERS)
    size = MAX_CHARACTERS if end is None else end.start() + 1
    many = _many_tokens(text[:size])
    if many is not None:
        return text[:many], True
    return text[:size], end is None and len(text) > MAX_CHARACTERS


def _many_tokens(text: str) -> int | None:
    """Where the brackets and quotes of ``text`` become too many; ``None`` where they do not."""
    found = next(islice(_TOKENS.finditer(text), MAX_TOKENS, None), None)
    return None if found is None else found.start()


def frames_above(notation: Notation, above: str) -> Stack:
    """The frames open after ``above``, the lines above the cursor's."""
    return _open_after(notation, _text_before(above))


@lru_cache(maxsize=16)
def _open_after(notation: Notation, text: str) -> Stack:
    """The frames open after ``text``; cached for typing."""
    stack: Stack = ()
    for mark in Lexer(notation).marks(text, ()):
        stack = mark.stack
    return stack if len(stack) <= MAX_DEPTH else ()
