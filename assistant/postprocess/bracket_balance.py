"""Keeps a completion from tearing brackets, quotes and tags apart. Pure.

What stands behind the cursor closes what was opened before it, in all files that were whole and
wherever an editor closes brackets by itself. A completion in between may close and open again only
what it opened itself. Without a grammar (lexer.py) this holds in JSON, YAML and prose as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from git_copilot.assistant.postprocess.language_notation import Notation, notation_of
from git_copilot.assistant.postprocess.lexer import BRACKET, INSIDE, LINE, Frame, Lexer, Mark, Stack

# Characters on each side of the cursor that are read; up to MOST where all lines are indented.
BEFORE, AFTER, MOST = 12_288, 12_288, 65_536
_UNINDENTED = re.compile(r"\n(?=[^\s)\]}<#/*-])")
# What parts a text where nothing of it is open.
SEPARATORS = ",;"
MAX_TRIES = 24
# Behind a completion every token is looked at up to here: it reads there as without it, mostly.
CAREFUL = 200


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How the text reads with a completion: see :class:`~git_copilot.assistant.postprocess.lexer.Mark`."""

    faults: int
    loose: int
    stack: Stack


class BracketBalance:
    """Knows what is open at a cursor, and what the text behind it closes."""

    def __init__(self, prefix: str, suffix: str, path: str) -> None:
        family = notation_of(path)
        self._lexer = Lexer(family)
        above, newline, line = prefix.rpartition("\n")
        self._line = newline + line  # what a line begins with depends on its beginning one
        self._begin = _state(family, _window(above))
        self._after, self._cut = _start(suffix)
        self._states: dict[int, Mark] = {}
        self._at, self._base = self._begin, _Outcome(0, 0, ())
        self._base = self._read("", first=True)
        self._bad = self._badness(self._base)
        self._strict = self._closes_here()

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or too much without a completion."""
        return self._bad == 0

    @property
    def empty_pair(self) -> bool:
        """Whether the cursor stands between an opener and its closer, with nothing else inside."""
        opener = [
            mark for mark in self._lexer.marks(self._line, self._begin, careful=len(self._line))
        ]
        return self._strict and bool(opener) and opener[-1].end == len(self._line)

    def fits(self, text: str) -> bool:
        """Whether ``text`` leaves the rest no worse than it is."""
        found = self._read(text)
        bad = self._badness(found)
        if bad != self._bad:
            return bad < self._bad
        if found.loose > self._base.loose:
            return False
        return not self._strict or self._stays_inside(text)

    def completed(self, text: str, *, strings: bool = False) -> str:
        """``text`` with the brackets closed that it left open, and with ``strings`` of one line."""
        stack, depth = self._behind(text), len(self._at)
        own = stack[depth:]
        if stack[:depth] != self._at or not all(_is_short(frame, strings) for frame in own):
            return text
        return text + "".join(frame.closer for frame in reversed(own))

    def cut(self, text: str) -> int:
        """The length of the longest beginning of ``text`` that fits and ends where something ends:
        before a closing bracket, a comma or a line end; or all of it."""
        if self.fits(text):
            return len(text)
        ends = {i for i, char in enumerate(text) if char == "\n"} | self._ends(text)
        tries = sorted((end for end in ends if end > 0), reverse=True)[:MAX_TRIES]
        return next((end for end in tries if self.fits(text[:end])), 0)

    def _ends(self, text: str) -> set[int]:
        """Where something closes, and where a separator stands while nothing of ``text`` is open."""
        begin, place, stack, ends = len(self._line), 0, self._at, set[int]()
        for mark in [*self._marks(text), None]:
            start = len(text) if mark is None else max(mark.start - begin, 0)
            if stack == self._at:
                ends.update(i for i in range(place, start) if text[i] in SEPARATORS)
            if mark is not None:
                if len(mark.stack) <= len(stack):
                    ends.add(start)
                stack, place = mark.stack, mark.end - begin
        return ends

    def _badness(self, outcome: _Outcome) -> int:
        """What is wrong: closers without openers, and openers without closers."""
        if not self._cut:
            return outcome.faults + self._lexer.unclosed(outcome.stack)
        # What closes the rest is out of sight: it has to stay as it was.
        own, base = outcome.stack, self._base.stack
        same = sum(1 for _ in _common(own, base))
        return outcome.faults + self._lexer.unclosed(own[same:] + base[same:])

    def _marks(self, text: str) -> list[Mark]:
        """What a completion opens and closes."""
        begin = len(self._line)
        free = begin, begin + len(text)
        found = self._lexer.marks(self._line + text, self._begin, free, free[1])
        return [mark for mark in found if mark.end > begin]

    def _behind(self, text: str) -> Stack:
        marks = self._marks(text)
        return marks[-1].stack if marks else self._at

    def _stays_inside(self, text: str) -> bool:
        """Whether nothing that was open at the cursor is closed, and no more is open behind."""
        depth, stack = len(self._at), self._at
        for mark in self._marks(text):
            stack = mark.stack
            if stack[:depth] != self._at:
                return False
        return stack == self._at

    def _closes_here(self) -> bool:
        """Whether the next thing behind the cursor closes what was opened last before it."""
        if not self._at or self._at[-1].kind == LINE:
            return False
        begin = len(self._line)
        whole = self._line + self._after
        for mark in self._lexer.marks(whole, self._begin, careful=len(whole)):
            if mark.end > begin:
                return mark.stack == self._at[:-1] and not whole[begin : mark.start].strip()
        return False

    def _read(self, text: str, *, first: bool = False) -> _Outcome:
        """Read on behind a completion, until it is as without one."""
        begin = len(self._line)
        end = begin + len(text)
        stack, faults, loose = self._begin, 0, 0
        for mark in self._lexer.marks(
            self._line + text + self._after, self._begin, (begin, end), end + CAREFUL
        ):
            _, _, stack, faults, loose = mark
            if first:
                if mark.end <= begin:
                    self._at = stack
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
    """Whether it is a bracket, or a string of one line where ``strings`` are meant as well."""
    string = strings and frame.quote is not None and not frame.quote.lines
    return frame.kind in (BRACKET, INSIDE) or string


def _common(one: Stack, other: Stack) -> Stack:
    size = 0
    while size < min(len(one), len(other)) and one[size] == other[size]:
        size += 1
    return one[:size]


def _window(text: str) -> str:
    """The end of ``text``, from the start of a line that is not indented where there is one."""
    if len(text) <= BEFORE:
        return text
    near = _UNINDENTED.search(text, len(text) - BEFORE)
    if near is not None:
        return text[near.start() + 1 :]
    far = list(_UNINDENTED.finditer(text, max(0, len(text) - MOST), len(text) - BEFORE))
    return text[far[-1].start() + 1 if far else -MOST :]


def _start(text: str) -> tuple[str, bool]:
    """The start of ``text``, up to a line that is not indented, where nothing should be open that
    was at the cursor, and whether there is more but no such line."""
    if len(text) <= AFTER:
        return text, False
    found = list(_UNINDENTED.finditer(text, AFTER // 4, AFTER))
    end = found[-1] if found else _UNINDENTED.search(text, AFTER, MOST)
    if end is not None:
        return text[: end.start() + 1], False
    return text[:MOST], len(text) > MOST


@lru_cache(maxsize=16)
def _state(family: Notation, text: str) -> Stack:
    """What is open behind ``text``: the lines above the cursor's, the same for each key."""
    stack: Stack = ()
    for mark in Lexer(family).marks(text, ()):
        stack = mark.stack
    return stack
