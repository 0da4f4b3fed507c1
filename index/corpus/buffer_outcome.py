"""What the next buffer of a file tells of completions that were shown there, for protocols that
report nothing. Pure.

The rules are cautious: whatever may have another reason leaves a completion open, and open ones are
counted as shown only. The cursor's old place is the line that begins as it did and stands below the
same line with a word in it.

- All of the text stands there: *accepted*, or *typed* where the person was seen typing it.
- Its beginning stands there, up to the end of a word, it ends at the cursor and came in one step:
  *partial*. A shorter step is taken for typing.
- The person has left the line, and another text stands there: *edited* if most of it is the one that
  was shown, *rejected* if most of it is not, open in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from git_copilot.index.corpus.outcome import (
    REACH,
    WORD,
    CursorContext,
    in_word,
    line_key,
    match_end,
)
from git_copilot.index.corpus.retained_text import retained_characters

ACCEPTED, TYPED, PARTIAL = "accepted", "typed", "partial"
EDITED, REJECTED = "edited", "rejected"
# So many characters at once were not typed between two requests, or rarely.
LEAST_STEP = 6
# A shorter text may be typed before the next request.
LEAST_ACCEPTED = 4
# Of a shorter text nothing can be said once it was changed.
LEAST_EDITED = 16
EDITED_SHARE, REJECTED_SHARE = 0.8, 0.2


@dataclass(frozen=True, slots=True)
class OpenCompletion:
    """A completion of which nothing was reported. The first ``typed`` characters stood at the
    cursor at the last request; ``partial``: they were accepted."""

    id: str
    cursor: CursorContext
    completion: str
    typed: int = 0
    partial: bool = False


@dataclass(frozen=True, slots=True)
class BufferOutcome:
    """The outcome of a completion, ``None`` while it is open. ``taken`` of its characters were
    accepted, ``typed`` stand before the cursor."""

    id: str
    outcome: str | None
    taken: int = 0
    typed: int = 0


@dataclass(frozen=True, slots=True)
class Buffer:
    """Lines of a buffer from its line ``first`` on, and the cursor in them; all count from 0."""

    lines: Sequence[str]
    line: int
    column: int
    first: int = 0

    @classmethod
    def at_cursor(cls, prefix: str, suffix: str, line: int) -> Buffer:
        """The text around a cursor, with ``\\n`` line ends; ``line`` is its line, from 1."""
        above = prefix.count("\n")
        column = len(prefix) - prefix.rfind("\n") - 1
        return cls((prefix + suffix).split("\n"), above, column, line - 1 - above)


# A place in the buffer: line and column.
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A completion with its outcome by itself, and the text that stands there of it."""

    shown: OpenCompletion
    outcome: BufferOutcome
    start: _Place
    end: _Place


def buffer_outcomes(buffer: Buffer, shown: Sequence[OpenCompletion]) -> list[BufferOutcome]:
    """What became of completions of a file, given its buffer now; only what is new.

    One insertion is one acceptance: where another accepted completion begins inside of it, a
    completion was typed up to there.
    """
    judged = [judgement for each in shown if (judgement := _judge(buffer, each)) is not None]
    inserted = [each.start for each in judged if each.outcome.outcome in (ACCEPTED, TYPED, PARTIAL)]
    found = []
    for each in judged:
        continued = any(each.start < place < each.end for place in inserted)
        outcome = _continued(each) if continued else each.outcome
        if outcome is not None:
            found.append(outcome)
    return found


def _judge(buffer: Buffer, shown: OpenCompletion) -> _Judged | None:
    line = _find_line(buffer, shown.cursor, shown.completion)
    if line is None:
        return None
    start = line, len(shown.cursor.before)
    whole = shown.completion.rstrip()
    end = _end_of_whole(buffer.lines, start, shown.cursor, whole)
    if end is not None:
        return _Judged(shown, _whole(shown, len(whole)), start, end)
    begun = _begun(buffer, start, shown)
    if begun is not None:
        return _Judged(shown, begun, start, (buffer.line, buffer.column))
    left = None if shown.partial else _left(buffer, start, shown)
    return None if left is None else _Judged(shown, left, start, start)


def _continued(judged: _Judged) -> BufferOutcome | None:
    """The outcome of a completion that another one continues."""
    name, outcome = judged.shown.id, judged.outcome
    if judged.shown.partial:
        return None
    if outcome.outcome == ACCEPTED:
        return BufferOutcome(name, TYPED)
    if outcome.outcome == PARTIAL:
        return BufferOutcome(name, None, typed=outcome.typed)
    return outcome


def _find_line(buffer: Buffer, cursor: CursorContext, completion: str) -> int | None:
    """The line that the cursor was in, if it is certain."""
    lines, home = buffer.lines, cursor.line - 1 - buffer.first
    found = []
    for line in _lines_below(lines, cursor.above[0] if cursor.above else "", home):
        if not lines[line].startswith(cursor.before):
            continue
        gone = cursor.below and line_key(lines[line]) == cursor.below
        if not gone or line_key(completion.split("\n", 1)[0]) == cursor.below:
            found.append(line)
    return home if home in found else found[0] if len(found) == 1 else None


def _lines_below(lines: Sequence[str], anchor: str, home: int) -> Iterator[int]:
    """The lines near ``home`` whose nearest line with a word above is ``anchor``; empty: none."""
    begin, end = max(0, home - REACH), min(len(lines), home + REACH + 1)
    tops = [n for n in range(max(0, begin - REACH), end) if line_key(lines[n]) == anchor]
    for top in tops if anchor else [-1]:
        for line in range(top + 1, end):
            if line >= begin:
                yield line
            if WORD.search(lines[line]):
                break


def _nearest_below(lines: Sequence[str], line: int) -> str:
    below = (lines[n] for n in range(line + 1, min(len(lines), line + 1 + REACH)))
    return next((line_key(each) for each in below if WORD.search(each)), "")


def _end_of_whole(
    lines: Sequence[str], start: _Place, cursor: CursorContext, whole: str
) -> _Place | None:
    """Where the completion ends, if all of it stands at its place and did not before."""
    line, column = start
    end = match_end(lines, line, column, whole)
    if end is None:
        return None
    behind = lines[end[0]][end[1] :]
    if behind.strip() not in ("", cursor.after.strip()) and in_word(lines[end[0]], end[1]):
        return None
    if "\n" not in whole:
        return None if lines[line][column:] == cursor.after else end
    worded = next((each for each in whole.split("\n")[1:] if WORD.search(each)), "")
    repeats = bool(cursor.below) and line_key(worded) == cursor.below
    return None if repeats and _nearest_below(lines, end[0]) != cursor.below else end


def _whole(shown: OpenCompletion, length: int) -> BufferOutcome:
    """The outcome of a completion that stands there."""
    by_key = shown.partial or (
        length - shown.typed >= LEAST_STEP if shown.typed else length >= LEAST_ACCEPTED
    )
    taken = len(shown.completion) if by_key else 0
    return BufferOutcome(shown.id, ACCEPTED if by_key else TYPED, taken)


def _begun(buffer: Buffer, start: _Place, shown: OpenCompletion) -> BufferOutcome | None:
    """The outcome of a completion whose beginning stands between its place and the cursor."""
    line, column = start
    if not start < (buffer.line, buffer.column) or buffer.line - line > shown.completion.count(
        "\n"
    ):
        return None
    last = buffer.lines[buffer.line]
    if last[buffer.column :].strip() != shown.cursor.after.strip():
        return None
    inner = [*buffer.lines[line : buffer.line], last[: buffer.column]]
    begun = "\n".join([inner[0][column:], *inner[1:]])
    length = len(begun)
    if not shown.completion.startswith(begun) or length <= shown.typed:
        return None
    if length - shown.typed >= LEAST_STEP and not in_word(shown.completion, length):
        return BufferOutcome(shown.id, PARTIAL, length, length)
    if shown.partial:
        return None
    return BufferOutcome(shown.id, None, typed=length)


def _left(buffer: Buffer, start: _Place, shown: OpenCompletion) -> BufferOutcome | None:
    """The outcome of a completion where the person wrote another text and went away."""
    line, column = start
    if buffer.line == line:
        return None
    now, after = buffer.lines[line][column:].strip(), shown.cursor.after.strip()
    if after and not now.endswith(after):
        return None
    now = now.removesuffix(after).strip()
    line_shown, *more = shown.completion.split("\n")
    first = line_shown.strip()
    if not now or not first:
        return None
    if first.startswith(now) and (more or now != first):
        goes_on = line < buffer.line <= line + len(more)
        if goes_on or shown.typed or len(now) < LEAST_STEP or in_word(first, len(now)):
            return None
        return BufferOutcome(shown.id, PARTIAL, line_shown.index(now) + len(now))
    share = retained_characters(first, now) / len(first)
    if shown.typed:  # the person went along for a while
        return None
    if share < REJECTED_SHARE:
        return BufferOutcome(shown.id, REJECTED)
    if share >= EDITED_SHARE and len(first) >= LEAST_EDITED and not more:
        return BufferOutcome(shown.id, EDITED, len(shown.completion))
    return None
