"""Finds the final text of a completion in a commit's blob. Pure: text and added lines in, a span
out.

A completion has no fixed place in history, since the buffer has changed since it was shown. Its
place is found by the text before the cursor and by the surrounding lines, among the lines that the
commit added. If the evidence is too weak, nothing is returned: a missing example is better than a
wrong one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from git_copilot.index.corpus.cuts import MAX_BLOCK_LINES, is_worth_completing

# Lines kept above the cursor, nearest first. Lines without a word (braces, blank lines) are
# skipped: they occur everywhere, and formatters move them.
LINES_ABOVE = 3
# How many lines around the cursor are searched for them.
REACH = 40
# The number of characters of each line to compare.
MAX_CONTEXT_LINE = 200
# Evidence points for a place; no single kind of evidence is enough.
TEXT_STANDS, LINE_ABOVE, TOLD_BEFORE, OTHER_LINE = 3, 3, 2, 1
ENOUGH = 4
WORD = re.compile(r"\w")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class CursorContext:
    """The text around the cursor of a completion.

    ``line`` counts from 1. ``before`` and ``after`` are the parts of the cursor's line; ``above``
    are the nearest lines with a word in them, nearest first, ``below`` is the next one, or empty;
    these are stripped.
    """

    line: int
    before: str
    after: str
    above: tuple[str, ...]
    below: str


@dataclass(frozen=True, slots=True)
class FoundOutcome:
    """The text at the cursor now: bytes ``[start, end)`` of the blob, possibly empty. ``changed``:
    it differs from what was shown."""

    start: int
    end: int
    changed: bool


class BlobLines:
    """A blob as lines without line ends.

    :raises UnicodeDecodeError: it is not UTF-8.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        begin = len(_BOM) if data.startswith(_BOM) else 0
        self.starts: list[int] = []
        self.lines: list[str] = []
        while begin < len(data):
            end = data.find(b"\n", begin)
            end = len(data) if end == -1 else end
            self.starts.append(begin)
            self.lines.append(data[begin:end].removesuffix(b"\r").decode("utf-8"))
            begin = end + 1
        self._worded = [n for n, line in enumerate(self.lines) if WORD.search(line)]

    def above(self, line: int) -> tuple[str, ...]:
        """The nearest lines with a word above ``line``, nearest first."""
        end = bisect_left(self._worded, line)
        return _keys(self.lines[n] for n in self._worded[max(0, end - LINES_ABOVE) : end][::-1])

    def below(self, line: int, count: int) -> tuple[str, ...]:
        """The next ``count`` lines with a word below ``line``."""
        begin = bisect_left(self._worded, line + 1)
        return _keys(self.lines[n] for n in self._worded[begin : begin + count])

    def offset(self, line: int, column: int) -> int:
        """The byte offset of a character; line and column count from 0."""
        return self.starts[line] + len(self.lines[line][:column].encode())


def cursor_context(prefix: str, suffix: str, line: int) -> CursorContext:
    """The cursor between ``prefix`` and ``suffix``, whose line ends are ``\\n``."""
    *above, before = prefix.rsplit("\n", REACH + 1)
    after, *below = suffix.split("\n", REACH + 1)
    told = _keys(filter(WORD.search, reversed(above[-REACH:])))
    follows = _keys(filter(WORD.search, below[:REACH]))
    return CursorContext(line, before, after, told[:LINES_ABOVE], follows[0] if follows else "")


def find_outcome(
    text: BlobLines,
    runs: Sequence[tuple[int, int]],
    cursor: CursorContext,
    completion: str,
    *,
    accepted: bool,
    final: str | None = None,
) -> FoundOutcome | None:
    """Find the cursor in ``text`` and the text there, or ``None``.

    An accepted completion that is still there is returned as it is, even if its line continues.
    Otherwise the span of a one-line completion extends to the line's end (up to the text that
    followed the cursor). The span of a longer one extends to the end of the added lines, to the
    line that was below, or over the completion's number of lines (at least three), whichever comes
    first.

    :param runs: (first line, count) of added lines, 1-based.
    :param completion: what was shown; like ``final`` with ``\\n`` line ends.
    :param accepted: whether the user accepted it.
    :param final: the text that replaced it, as reported by the editor.
    """
    added = {
        number
        for first, count in runs
        for number in range(first - 1, min(first - 1 + count, len(text.lines)))
    }
    wanted = [t.rstrip() for t in (final, completion) if t is not None and t.strip()]
    best: tuple[bool, int, int] | None = None
    place = 0
    for line in _candidates(text, added, cursor, completion):
        stands = [
            e
            for t in wanted
            if (e := match_end(text.lines, line, len(cursor.before), t)) is not None
        ]
        points = _score(text, line, cursor, stands[0] if stands else None)
        # A rejected completion may occur nearby, which is a reason to reject it.
        sure = bool(stands) and (accepted or final is not None)
        rank = sure, points, -abs(line + 1 - cursor.line)
        if points >= ENOUGH and (best is None or rank > best):
            best, place = rank, line
    if best is None:
        return None
    return _outcome_at(text, added, place, cursor, completion.rstrip(), wanted, accepted)


def _candidates(
    text: BlobLines, added: set[int], cursor: CursorContext, completion: str
) -> list[int]:
    """Lines that begin with the text before the cursor and were changed."""
    found = []
    for line in sorted(added):
        if text.lines[line].startswith(cursor.before):
            found.append(line)
        # A completion that begins with a newline does not change the cursor's own line.
        above = line - 1
        if (
            completion.startswith("\n")
            and line
            and text.lines[above].startswith(cursor.before)
            and text.lines[above].rstrip() == cursor.before.rstrip()
        ):
            found.append(above)
    return found


def _score(text: BlobLines, line: int, cursor: CursorContext, end: tuple[int, int] | None) -> int:
    """The evidence for a line being the cursor's. ``end``: where the expected text ends, if it is
    there."""
    if end is None and cursor.below and line_key(text.lines[line]) == cursor.below:
        return 0  # this was the line below the cursor's, which is gone
    points = 0 if end is None else TEXT_STANDS
    above, told = text.above(line), is_worth_completing(cursor.before)
    nearest = above[:1] == cursor.above[:1]  # or nothing above, both times
    if nearest or told or end is not None:  # else neighbouring lines would match as well
        points += LINE_ABOVE * nearest
        points += OTHER_LINE * sum(known in above for known in cursor.above[nearest:])
    near = text.below(end[0], 1) if end is not None else text.below(line, MAX_BLOCK_LINES + 1)
    points += OTHER_LINE * (bool(cursor.below) and cursor.below in near)
    return points + TOLD_BEFORE * told


def match_end(lines: Sequence[str], line: int, column: int, wanted: str) -> tuple[int, int] | None:
    """Where ``wanted`` ends (line, column) if it is at this place; trailing white space of its
    lines is ignored, since formatters remove it."""
    first, *more = wanted.split("\n")
    last = line + len(more)
    if last >= len(lines):
        return None
    here = lines[line][column:]
    if not more:
        return (line, column + len(first)) if here.startswith(first) else None
    inner = lines[line + 1 : last]
    if [here.rstrip(), *map(str.rstrip, inner)] != [first.rstrip(), *map(str.rstrip, more[:-1])]:
        return None
    return (last, len(more[-1])) if lines[last].startswith(more[-1]) else None


def _outcome_at(
    text: BlobLines,
    added: set[int],
    line: int,
    cursor: CursorContext,
    completion: str,
    wanted: Sequence[str],
    accepted: bool,
) -> FoundOutcome:
    """The outcome at the cursor, given its line."""
    column = len(cursor.before)
    start = text.offset(line, column)
    for expected in wanted:
        end = match_end(text.lines, line, column, expected)
        if end is None:
            continue
        behind = text.lines[end[0]][end[1] :].strip()
        whole = behind in ("", cursor.after.strip())
        if whole or (
            (accepted or expected != completion) and not in_word(text.lines[end[0]], end[1])
        ):
            return FoundOutcome(start, text.offset(*end), expected != completion)
    if "\n" not in completion:
        kept = text.lines[line].rstrip()
        behind = cursor.after.strip()
        if behind and kept[column:].endswith(behind):
            kept = kept[: -len(behind)].rstrip()
        return FoundOutcome(start, max(start, text.offset(line, len(kept))), True)
    last = _last_line(text, added, line, cursor, completion)
    return FoundOutcome(start, max(start, text.offset(last, len(text.lines[last].rstrip()))), True)


def _last_line(
    text: BlobLines, added: set[int], line: int, cursor: CursorContext, completion: str
) -> int:
    most = max(MAX_BLOCK_LINES, completion.count("\n") + 1)
    last = line
    while last + 1 < line + most and last + 1 in added:
        if cursor.below and line_key(text.lines[last + 1]) == cursor.below:
            break
        last += 1
    while last > line and not text.lines[last].strip():
        last -= 1
    return last


def in_word(line: str, column: int) -> bool:
    """Whether ``column`` is inside a word."""
    return bool(WORD.match(line[column - 1 : column]) and WORD.match(line[column : column + 1]))


def _keys(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(line_key, lines))


def line_key(line: str) -> str:
    """What lines are compared by."""
    return line.strip()[:MAX_CONTEXT_LINE]
