"""Finds repetition in a completion: of the lines behind the cursor, and of itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# A line with fewer letters and digits than this ("}", "]);") may recur.
MIN_ALPHANUMERIC = 3
MAX_REPEATS = 3
# Lines of the longest group that counts as a loop.
MAX_PERIOD = 4
# Characters of a line in which letters and digits are counted: limits are far below it.
MAX_COUNTED = 1000
# Lines behind the cursor with which a completion is compared.
MAX_LINES = 64
# In a complete file no line is written that equals one of this many next ones: 3% of the lines of
# real code do, but most of a model's lines that do are repetitions.
NEXT_LINES = 8
# Within a line, a piece of up to MAX_PIECE characters is a loop when it occurs this many times in a
# row and takes this many characters: ten names in a call or forty zeros may be intended.
PIECE_REPEATS, LOOP_CHARACTERS = 4, 96
MAX_PIECE = 40
# Pieces that differ only in digits count up: then fewer characters are enough. Lines that differ
# only in digits are a loop from this many on. Of 1,682,702 lines of real files 36 contain a loop,
# 11 of them without counting, and 127 runs of lines count up, nearly all in tables of numbers.
COUNTED_REPEATS, COUNTED_CHARACTERS, COUNTED_LINES = 8, 40, 6
# Loops are searched for every this many characters, not after each one.
CHECK_EVERY = 8
_DIGITS = re.compile(r"\d+")


class SuffixRepetition:
    """Compares a completion with the lines behind the cursor's line."""

    def __init__(self, line: str, suffix: str) -> None:
        """:param line: the text before the cursor on its line."""
        self._line = line
        following = suffix.split("\n", 4 * MAX_LINES)[1:]
        self._next_lines = [x.rstrip() for x in following if x.strip()][:MAX_LINES]

    @property
    def distinctive(self) -> int:
        """The number of letters and digits in the next line."""
        return count_alphanumeric(self._next_lines[:1])

    def suffix_start(self, lines: Sequence[str], count: int) -> int | None:
        """The offset at which a text should have ended, if its last lines are the first ``count``
        behind the cursor. Blank lines do not count."""
        wanted = self._next_lines[:count]
        if len(wanted) < count or count_alphanumeric(wanted) < MIN_ALPHANUMERIC:
            return None
        number = len(lines)
        for line in reversed(wanted):
            number -= 1
            while number >= 0 and not self._full_line(lines, number):
                number -= 1
            if number < 0 or self._full_line(lines, number) != line:
                return None
        while number > 0 and not lines[number - 1].strip():
            number -= 1
        return len("\n".join(lines[:number]))

    def next_line_start(self, lines: Sequence[str]) -> int | None:
        """The offset at which a text should have ended, if its last line is one of the
        :data:`NEXT_LINES` behind the cursor; text on the cursor's own line may be."""
        number = len(lines) - 1
        if not number and self._line.strip():
            return None
        line = self._full_line(lines, number)
        if (
            count_alphanumeric([line]) < MIN_ALPHANUMERIC
            or line not in self._next_lines[:NEXT_LINES]
        ):
            return None
        while number > 0 and not lines[number - 1].strip():
            number -= 1
        return len("\n".join(lines[:number]))

    def _full_line(self, lines: Sequence[str], number: int) -> str:
        """A line of the text as it will be in the file, without trailing white space."""
        return (lines[number] if number else self._line + lines[0]).rstrip()

    def suffix_at_end(self, text: str) -> int | None:
        """The same for as many lines as match, at least one."""
        lines = text.split("\n")
        for count in range(min(len(lines), len(self._next_lines)), 0, -1):
            offset = self.suffix_start(lines, count)
            if offset is not None:
                return offset
        return None


def count_alphanumeric(lines: Sequence[str]) -> int:
    """The number of letters and digits at the beginnings of lines."""
    return sum(char.isalnum() for line in lines for char in line[:MAX_COUNTED])


def loop_start(lines: Sequence[str], nearby: str = "") -> int | None:
    """How many lines to keep of a text whose last lines repeat one group, or differ only in digits;
    ``None`` if they do not.

    :param nearby: other text: a line that occurs there with other digits may be intended.
    """
    for period in range(1, MAX_PERIOD + 1):
        size = period * MAX_REPEATS
        tail = [line.strip() for line in lines[-size:]]
        group = tail[:period]
        if (
            len(tail) == size
            and tail == group * MAX_REPEATS
            and count_alphanumeric(group) >= MIN_ALPHANUMERIC
        ):
            return len(lines) - size + period
    tail = [_DIGITS.sub("0", line.strip()) for line in lines[-COUNTED_LINES:]]
    alike = len(tail) == COUNTED_LINES and len(set(tail)) == 1
    if (
        alike
        and "0" in tail[0]
        and count_alphanumeric(tail[:1]) >= MIN_ALPHANUMERIC
        and tail[0] not in _masked_digits(nearby)
    ):
        return len(lines) - COUNTED_LINES + 1
    return None


def loop_in_line(line: str, nearby: str) -> int | None:
    """How many characters to keep of a line that repeats one piece, or pieces that differ only in
    digits: those up to the end of the first piece, or of the word there. ``None`` if it does not.

    :param nearby: other text, in which the piece repeats itself as well if that is intended.
    """
    found = [_find_loop(line, nearby, PIECE_REPEATS, LOOP_CHARACTERS)]
    places, at = list[int](), 0
    for number in _DIGITS.finditer(line):
        places += range(at, number.start() + 1)
        at = number.end()
    if places:
        places += range(at, len(line) + 1)
        counted = _DIGITS.sub("0", line)
        loop = _find_loop(counted, _masked_digits(nearby), COUNTED_REPEATS, COUNTED_CHARACTERS, "0")
        found.append(loop and (places[loop[0] - 1] + 1, places[loop[1]]))
    # The loop that shows first, so that the result is the same token by token and at once.
    return min((loop for loop in found if loop), key=lambda loop: loop[0], default=(0, None))[1]


def _find_loop(
    line: str, nearby: str, repeats: int, characters: int, needed: str = ""
) -> tuple[int, int] | None:
    """Where in a line a loop shows, and how many characters to keep; pieces contain ``needed``."""
    for end in range(characters, len(line) + 1, CHECK_EVERY):
        for size in range(1, MAX_PIECE + 1):
            count = max(repeats, -(-characters // size))
            start = end - count * size
            if start < 0 or line[end - 1] != line[end - 1 - size]:
                continue
            piece = line[end - size : end]
            if (
                line[start:end] != piece * count
                or not count_alphanumeric([piece])
                or needed not in piece
            ):
                continue
            if piece * PIECE_REPEATS in nearby:
                continue
            while start and line[start - 1] == line[start - 1 + size]:
                start -= 1
            behind = range(start + size, start + 2 * size)
            return end, next((i for i in behind if not _splits_word(line, i)), behind[0])
    return None


@lru_cache(maxsize=4)
def _masked_digits(text: str) -> str:
    """``text`` with all numbers replaced by 0."""
    return _DIGITS.sub("0", text)


def _splits_word(line: str, place: int) -> bool:
    return line[place - 1].isalnum() and line[place].isalnum()
