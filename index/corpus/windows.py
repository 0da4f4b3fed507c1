"""Cuts whole files into passages and sequences, so that an adapter learns every line of them.

A hole in the middle of a file is a dozen tokens to learn from behind hundreds that are read for it.
With loss on the text before the hole as well, holes that stand a passage apart let a model learn
each token once, at hardly more cost. Recipes that learn files as they stand take sequences: holes
that cover a file, one after the other.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.cuts import Span
from git_copilot.index.corpus.harvest import spans_without_long_lines, spans_without_secrets
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.snapshot import hole_of_tree, snapshot_files
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.allowed_lines import allowed_in
from git_copilot.index.text.classify import language_of

WINDOW, SEQUENCE = "window", "sequence"
# Characters of a passage: about as much as half a serving prompt has room for before the cursor.
PASSAGE = 1400
# The lines at a passage's end that its hole may take.
_TAILS = (1, 1, 2, 3)
_TOKEN = re.compile(r"\w+|[^\w\s]")


def cut_windows(data: bytes, seed: str) -> list[Span]:
    """A span at the end of each passage of a file; the passages cover it.

    :param data: the file; nothing is cut if it is not UTF-8.
    :param seed: the choice depends on it and on ``data`` only.
    """
    try:
        lines = data.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return []
    rng = seeded_random(seed)
    # Passages of different files begin at different distances from the top.
    room = rng.randrange(PASSAGE // 2, PASSAGE)
    spans, first, offset, size = list[Span](), 0, 0, 0
    for number, line in enumerate(lines):
        size += len(line)
        if size < room and number < len(lines) - 1:
            continue
        passage = lines[first : number + 1]
        span = _cut_tail(passage, offset, rng)
        if span is not None:
            spans.append(span)
        offset += len("".join(passage).encode())
        first, size, room = number + 1, 0, PASSAGE
    return spans


def _cut_tail(passage: list[str], offset: int, rng: random.Random) -> Span | None:
    """The hole at a passage's end: from a token on to the end of its last line that is not blank."""
    count = len(passage)
    while count and not passage[count - 1].strip():
        count -= 1
    if not count:
        return None
    begin = max(0, count - rng.choice(_TAILS))
    while not passage[begin].strip():
        begin += 1
    start = rng.choice([found.start() for found in _TOKEN.finditer(passage[begin])])
    before = "".join(passage[:begin]) + passage[begin][:start]
    whole = "".join(passage[:count]).rstrip()
    return Span(offset + len(before.encode()), offset + len(whole.encode()), WINDOW)


def cut_sequences(data: bytes, characters: int) -> list[Span]:
    """Spans that together cover a file, each of whole lines and at least ``characters`` long but
    the last, and at most a line longer.

    :param data: the file; nothing is cut if it is not UTF-8.
    """
    try:
        lines = data.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return []
    spans, begin, offset, size = list[Span](), 0, 0, 0
    for number, line in enumerate(lines):
        offset += len(line.encode())
        size += len(line)
        if size < characters and number < len(lines) - 1:
            continue
        if data[begin:offset].strip():
            spans.append(Span(begin, offset, SEQUENCE))
        begin, size = offset, 0
    return spans


def snapshot_windows(
    repo: GitRepository, commit: str, *, time: int = 0, characters: int | None = None
) -> Iterator[Hole]:
    """The holes of :func:`cut_windows` in the files of ``commit``'s tree, in path order. They have
    no author.

    :param time: stored with each hole, in seconds since 1970.
    :param characters: return sequences of this length instead, see :func:`cut_sequences`.
    """
    taken_in = allowed_in(repo)
    for entry, data in snapshot_files(repo, commit):
        language = language_of(entry.path)
        if characters is None:
            spans = cut_windows(data, f"window:{entry.oid}:{entry.path}")
        else:
            spans = cut_sequences(data, characters)
        spans = spans_without_long_lines(data, spans)
        for span in spans_without_secrets(data, spans, language, taken_in):
            yield hole_of_tree(commit, entry, span, language, time)
