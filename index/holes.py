"""Chooses the holes of a commit. Pure: blob bytes and added lines in, byte spans out.

Follows arXiv 2503.14201: the end of an added line, 3 to 50 tokens long, and blocks of up to
three added lines; for half of the blocks the indentation belongs to the middle, because a model
that never writes indentation ends at once at a cursor in column 1.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

MIN_TOKENS, MAX_TOKENS = 3, 50
MAX_BLOCK_LINES = 3
HOLES_PER_FILE = 4
HOLES_PER_COMMIT = 12
# The share of holes that are the end of a line; the others are blocks of lines.
LINE_SHARE = 0.6
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Span:
    """A byte span ``[start, end)`` of a blob and the way it was cut."""

    start: int
    end: int
    kind: str


def seeded(*parts: str) -> random.Random:
    """A generator that depends on ``parts`` only: mining twice finds the same holes."""
    return random.Random(hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).digest())


def choose_spans(data: bytes, runs: Sequence[tuple[int, int]], seed: str) -> list[Span]:
    """Up to :data:`HOLES_PER_FILE` disjoint spans among added lines.

    :param data: the whole blob; nothing is chosen from one that is not UTF-8.
    :param runs: (first line, count) of added lines, 1-based.
    :param seed: what the choice depends on besides the arguments above.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return []
    rng = seeded(seed)
    starts = _line_starts(data)
    blocks = [b for first, count in runs for b in _blocks(first - 1, count)]
    rng.shuffle(blocks)
    spans: list[Span] = []
    for first, last in blocks:
        if last >= len(starts):
            continue
        cut = _cut_line if rng.random() < LINE_SHARE else _cut_block
        span = cut(data, starts, first, last, rng)
        if span is not None:
            spans.append(span)
        if len(spans) == HOLES_PER_FILE:
            break
    return sorted(spans, key=lambda s: s.start)


def _line_starts(data: bytes) -> list[int]:
    """Offsets of the lines' first bytes, and the end of the last line."""
    starts = [0]
    for match in re.finditer(b"\n", data):
        starts.append(match.end())
    if starts[-1] != len(data):
        starts.append(len(data))
    return starts


def _blocks(first: int, count: int) -> list[tuple[int, int]]:
    """Cut a run of lines into blocks of at most three: (first, last), 0-based, half open."""
    end = first + count
    return [(i, min(i + MAX_BLOCK_LINES, end)) for i in range(first, end, MAX_BLOCK_LINES)]


def _content_end(data: bytes, starts: Sequence[int], line: int) -> int:
    """Where the line's text ends: before its newline and trailing white space."""
    return starts[line] + len(data[starts[line] : starts[line + 1]].rstrip())


def _cut_line(
    data: bytes, starts: Sequence[int], first: int, last: int, rng: random.Random
) -> Span | None:
    """Mask the last tokens of one line, leaving at least one before the cursor."""
    line = rng.randrange(first, last)
    begin, end = starts[line], _content_end(data, starts, line)
    text = data[begin:end].decode("utf-8")
    tokens = list(_TOKEN.finditer(text))
    if len(tokens) <= MIN_TOKENS:
        return None
    masked = rng.randint(MIN_TOKENS, min(MAX_TOKENS, len(tokens) - 1))
    start = begin + len(text[: tokens[-masked].start()].encode())
    return Span(start, end, "line")


def _cut_block(
    data: bytes, starts: Sequence[int], first: int, last: int, rng: random.Random
) -> Span | None:
    """Mask whole lines, with the first one's indentation or without it."""
    while first < last and _content_end(data, starts, first) == starts[first]:
        first += 1
    while last > first and _content_end(data, starts, last - 1) == starts[last - 1]:
        last -= 1
    if first == last:
        return None
    start, end = starts[first], _content_end(data, starts, last - 1)
    text = data[start:end].decode("utf-8")
    if not MIN_TOKENS <= len(_TOKEN.findall(text)) <= MAX_TOKENS * MAX_BLOCK_LINES:
        return None
    if rng.random() < 0.5:
        start += len(text) - len(text.lstrip())
    return Span(start, end, "lines")
