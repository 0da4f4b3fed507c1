"""Repetition in a completion: of the lines that follow the cursor, and of itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# A line with fewer letters and digits than this ("}", "]);") recurs by right.
MIN_WORDY = 3
MAX_REPEATS = 3
# Lines of the longest group that is looked for as a loop.
MAX_PERIOD = 4
# Lines behind the cursor that a completion is compared with.
MAX_LINES = 64
# Within a line, text of up to MAX_PIECE characters is a loop when it stands there so many times in a
# row and takes so many characters: ten names in a call and forty zeros may be meant.
PIECE_REPEATS, LOOP_CHARACTERS = 4, 96
MAX_PIECE = 40
# It is looked for at every so many characters, not after each.
LOOK_EACH = 8


class Repeats:
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


def is_looping(lines: Sequence[str]) -> int | None:
    """How many lines to keep of a text whose last ones are the same group over and over; ``None``
    when they are not."""
    for period in range(1, MAX_PERIOD + 1):
        size = period * MAX_REPEATS
        tail = [line.strip() for line in lines[-size:]]
        group = tail[:period]
        if len(tail) == size and tail == group * MAX_REPEATS and wordy(group) >= MIN_WORDY:
            return len(lines) - size + period
    return None


def loop_in_line(line: str, nearby: str) -> int | None:
    """How many characters to keep of a line that goes on with the same piece over and over: those up
    to the first piece's end, or to the end of the word there. ``None`` when it does not.

    :param nearby: other text, in which the piece repeats itself as well if that is meant.
    """
    for end in range(LOOP_CHARACTERS, len(line) + 1, LOOK_EACH):
        for size in range(1, MAX_PIECE + 1):
            count = max(PIECE_REPEATS, -(-LOOP_CHARACTERS // size))
            start = end - count * size
            if start < 0 or line[end - 1] != line[end - 1 - size]:
                continue
            piece = line[end - size : end]
            if line[start:end] != piece * count or not wordy([piece]):
                continue
            if piece * PIECE_REPEATS in nearby:
                continue
            while start and line[start - 1] == line[start - 1 + size]:
                start -= 1
            behind = range(start + size, start + 2 * size)
            return next((i for i in behind if not _within_word(line, i)), behind[0])
    return None


def _within_word(line: str, place: int) -> bool:
    return line[place - 1].isalnum() and line[place].isalnum()
