"""Repetition in a completion: of the lines that follow the cursor, and of itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# A line with fewer letters and digits than this ("}", "]);") recurs by right.
MIN_WORDY = 3
MAX_REPEATS = 3
# Lines of the longest group that is looked for as a loop.
MAX_PERIOD = 4
# Lines behind the cursor that a completion is compared with.
MAX_LINES = 64
# In a file that is whole no line is written that is one of so many next ones: 3% of the lines of real
# code are, but of those that a model writes there most are there already.
NEXT_LINES = 8
# Within a line, text of up to MAX_PIECE characters is a loop when it stands there so many times in a
# row and takes so many characters: ten names in a call and forty zeros may be meant.
PIECE_REPEATS, LOOP_CHARACTERS = 4, 96
MAX_PIECE = 40
# Pieces that have digits in them, whichever they are, count: that takes fewer characters. Lines that
# differ in digits alone do so from this many on. Of 1,682,702 lines of real files 36 hold a loop, 11
# without counting, and 127 times so many lines count: tables of numbers, nearly all of them.
COUNTED_REPEATS, COUNTED_CHARACTERS, COUNTED_LINES = 8, 40, 6
# It is looked for at every so many characters, not after each.
LOOK_EACH = 8
_DIGITS = re.compile(r"\d+")


class SuffixRepetition:
    """Knows the lines that stand behind the cursor's line."""

    def __init__(self, line: str, suffix: str) -> None:
        """:param line: what stands before the cursor on its line."""
        self._line = line
        following = suffix.split("\n", 4 * MAX_LINES)[1:]
        self._next = [x.rstrip() for x in following if x.strip()][:MAX_LINES]

    @property
    def telling(self) -> int:
        """Letters and digits in the first of them."""
        return wordy(self._next[:1])

    def begins(self, lines: Sequence[str], count: int) -> int | None:
        """The offset at which a text should have ended, when the last of its lines are the first
        ``count`` that stand behind the cursor. Blank lines do not count."""
        wanted = self._next[:count]
        if len(wanted) < count or wordy(wanted) < MIN_WORDY:
            return None
        number = len(lines)
        for line in reversed(wanted):
            number -= 1
            while number >= 0 and not self._whole(lines, number):
                number -= 1
            if number < 0 or self._whole(lines, number) != line:
                return None
        while number > 0 and not lines[number - 1].strip():
            number -= 1
        return len("\n".join(lines[:number]))

    def below(self, lines: Sequence[str]) -> int | None:
        """The offset at which a text should have ended, when the last of its lines is one of the
        :data:`NEXT_LINES` that stand behind the cursor. What is written on the cursor's line may be."""
        number = len(lines) - 1
        if not number and self._line.strip():
            return None
        line = self._whole(lines, number)
        if wordy([line]) < MIN_WORDY or line not in self._next[:NEXT_LINES]:
            return None
        while number > 0 and not lines[number - 1].strip():
            number -= 1
        return len("\n".join(lines[:number]))

    def _whole(self, lines: Sequence[str], number: int) -> str:
        """A line of the text as it will stand in the file, without white space at its end."""
        return (lines[number] if number else self._line + lines[0]).rstrip()

    def at_end(self, text: str) -> int | None:
        """The same for as many lines as agree, one at least."""
        lines = text.split("\n")
        for count in range(min(len(lines), len(self._next)), 0, -1):
            offset = self.begins(lines, count)
            if offset is not None:
                return offset
        return None


def wordy(lines: Sequence[str]) -> int:
    """Letters and digits in lines."""
    return sum(char.isalnum() for line in lines for char in line)


def is_looping(lines: Sequence[str], nearby: str = "") -> int | None:
    """How many lines to keep of a text whose last ones are the same group over and over, or differ
    in their digits alone; ``None`` when they are not.

    :param nearby: other text: a line that stands there with other digits may be meant.
    """
    for period in range(1, MAX_PERIOD + 1):
        size = period * MAX_REPEATS
        tail = [line.strip() for line in lines[-size:]]
        group = tail[:period]
        if len(tail) == size and tail == group * MAX_REPEATS and wordy(group) >= MIN_WORDY:
            return len(lines) - size + period
    tail = [_DIGITS.sub("0", line.strip()) for line in lines[-COUNTED_LINES:]]
    alike = len(tail) == COUNTED_LINES and len(set(tail)) == 1
    if (
        alike
        and "0" in tail[0]
        and wordy(tail[:1]) >= MIN_WORDY
        and tail[0] not in _counted(nearby)
    ):
        return len(lines) - COUNTED_LINES + 1
    return None


def loop_in_line(line: str, nearby: str) -> int | None:
    """How many characters to keep of a line that goes on with the same piece over and over, or with
    pieces that differ in their digits alone: those up to the first piece's end, or to the end of the
    word there. ``None`` when it does not.

    :param nearby: other text, in which the piece repeats itself as well if that is meant.
    """
    found = [_loop(line, nearby, PIECE_REPEATS, LOOP_CHARACTERS)]
    places, at = list[int](), 0
    for number in _DIGITS.finditer(line):
        places += range(at, number.start() + 1)
        at = number.end()
    if places:
        places += range(at, len(line) + 1)
        counted = _DIGITS.sub("0", line)
        loop = _loop(counted, _counted(nearby), COUNTED_REPEATS, COUNTED_CHARACTERS, "0")
        found.append(loop and (places[loop[0] - 1] + 1, places[loop[1]]))
    # The one that shows first, so that a line is the same token by token and at once.
    return min((loop for loop in found if loop), key=lambda loop: loop[0], default=(0, None))[1]


def _loop(
    line: str, nearby: str, repeats: int, characters: int, needed: str = ""
) -> tuple[int, int] | None:
    """Where in a line a loop shows, and how many characters to keep; ``needed`` is in each piece."""
    for end in range(characters, len(line) + 1, LOOK_EACH):
        for size in range(1, MAX_PIECE + 1):
            count = max(repeats, -(-characters // size))
            start = end - count * size
            if start < 0 or line[end - 1] != line[end - 1 - size]:
                continue
            piece = line[end - size : end]
            if line[start:end] != piece * count or not wordy([piece]) or needed not in piece:
                continue
            if piece * PIECE_REPEATS in nearby:
                continue
            while start and line[start - 1] == line[start - 1 + size]:
                start -= 1
            behind = range(start + size, start + 2 * size)
            return end, next((i for i in behind if not _within_word(line, i)), behind[0])
    return None


@lru_cache(maxsize=4)
def _counted(text: str) -> str:
    """``text`` with all numbers alike."""
    return _DIGITS.sub("0", text)


def _within_word(line: str, place: int) -> bool:
    return line[place - 1].isalnum() and line[place].isalnum()
