"""Chooses the holes of a commit. Pure: blob bytes and added lines in, byte spans out."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

from git_copilot.index.corpus.cuts import (
    MAX_BLOCK_LINES,
    Block,
    SourceText,
    Span,
    cut_characters,
    cut_described,
    cut_line,
    cut_lines,
    cut_node,
)

HOLES_PER_FILE = 4
HOLES_PER_COMMIT = 12
Cut = Callable[[SourceText, Block, random.Random], Span | None]
# The most common request is the rest of a line. A tenth are character cuts, so that holes may begin
# and end anywhere. A strategy that finds nothing falls back to the end of a line.
MIXTURE: tuple[tuple[Cut, float], ...] = (
    (cut_line, 0.45),
    (cut_lines, 0.2),
    (cut_node, 0.15),
    (cut_characters, 0.1),
    (cut_described, 0.1),
)


# A file without a hole after this number of blocks is data.
MAX_TRIES = 400


def seeded_random(*parts: str) -> random.Random:
    """A random generator seeded with ``parts`` only, so that mining is reproducible."""
    return random.Random(hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).digest())


def choose_spans(
    data: bytes,
    runs: Sequence[tuple[int, int]],
    seed: str,
    language: str = "",
    most: int = HOLES_PER_FILE,
) -> list[Span]:
    """Up to ``most`` disjoint spans among added lines, in order.

    :param data: the whole blob; nothing is chosen if it is not UTF-8.
    :param runs: (first line, count) of added lines, 1-based.
    :param seed: the choice depends on it and on the arguments above only.
    :param language: tree-sitter's name; without one no syntax nodes are cut.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return []
    rng = seeded_random(seed)
    source = SourceText(data, language)
    blocks = [b for first, count in runs for b in _blocks(first - 1, count, source.lines)]
    rng.shuffle(blocks)
    spans: list[Span] = []
    for block in blocks[:MAX_TRIES]:
        span = _draw_cut(rng)(source, block, rng) or cut_line(source, block, rng)
        if span is not None and all(span.end <= s.start or s.end <= span.start for s in spans):
            spans.append(span)
        if len(spans) == most:
            break
    return sorted(spans, key=lambda s: s.start)


def _draw_cut(rng: random.Random) -> Cut:
    cuts, shares = zip(*MIXTURE, strict=True)
    return rng.choices(cuts, shares)[0]  # type: ignore[no-any-return]


def _blocks(first: int, count: int, lines: int) -> list[Block]:
    """Cut a run of lines into blocks of at most three; lines beyond the end are ignored."""
    end = min(first + count, lines)
    return [
        Block(i, min(i + MAX_BLOCK_LINES, end), first, end)
        for i in range(first, end, MAX_BLOCK_LINES)
    ]
