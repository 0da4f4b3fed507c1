"""Cuts holes into packed files, finds snippets for them and renders both as they are served.

Runs where only torch and transformers are installed: the prompt builder and the words of the index are
those of serving, and import nothing else. Of the index there is only the search by words (BM25);
the pack has no history. Nothing of the hole's own text is in what is searched.
"""

from __future__ import annotations

import math
import random
import re
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from packed import PackedFile

from git_copilot.assistant.prompt.builder import Budget, Prompt, build_prompt
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hit
from git_copilot.index.text.terms import IDENTIFIER, STOP_WORDS

# Kinds of holes and their shares: the rest of a line, a whole line, several lines, a syntax node, any
# characters, and nothing.
KINDS = {"rest": 0.3, "line": 0.12, "lines": 0.2, "node": 0.14, "chars": 0.2, "nothing": 0.04}
MOST_LINES, MOST_CHARS = 6, 240
# A cursor on a new line stands in column 1 as often as behind the indentation.
INDENTED = 0.5
# What the author has not written yet is not there: so much of the file behind the hole's block.
TYPED_SHARE, MOST_UNTYPED = 0.4, 40
LEFT_TO_RIGHT = 0.06
# The share of examples with snippets.
RETRIEVAL = 0.5
# (prompt, snippets, suffix) in tokens: as served, and as little time leaves.
PLAIN = ((1024, 0, 192), (640, 0, 192), (384, 0, 128), (192, 0, 64), (96, 0, 32))
WITH_SNIPPETS = ((1024, 512, 192), (1024, 512, 192), (640, 384, 128), (448, 224, 96))
MOST_SNIPPETS = 6
# The text around a hole that is searched for: characters before and behind it.
BEFORE, BEHIND = 1600, 400
K1, B = 1.2, 0.75
# A word that is in more chunks than this says little and takes time.
COMMON = 400
# Weight of an example whose middle names what only a snippet shows.
SHOWN_WEIGHT = 2.0
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """An example; ``open_tokens`` at the prompt's end are text that the middle continues."""

    prompt_ids: tuple[int, ...]
    middle_ids: tuple[int, ...]
    open_tokens: int
    weight: float
    kind: str

    @property
    def size(self) -> int:
        return len(self.prompt_ids) + len(self.middle_ids)


@dataclass(slots=True)
class _Chunk:
    file: int
    first: int
    last: int
    size: int


class Repository:
    """The files of one source, and an index of their chunks by words."""

    def __init__(self, name: str, files: Sequence[PackedFile]) -> None:
        self.name, self.files = name, list(files)
        self._chunks: list[_Chunk] = []
        self._holders: dict[str, array[int]] = {}
        self._mean = 1.0

    def index(self) -> None:
        """Build the index; a search without one finds nothing."""
        holders: defaultdict[str, array[int]] = defaultdict(lambda: array("l"))
        for number, file in enumerate(self.files):
            lines = file.text.split("\n")
            for first, last in zip(file.chunks, (*file.chunks[1:], len(lines)), strict=True):
                words = words_of("\n".join(lines[first:last]))
                for word in set(words):
                    holders[word].append(len(self._chunks))
                self._chunks.append(_Chunk(number, first, last, len(words)))
        self._holders = {w: chunks for w, chunks in holders.items() if len(chunks) <= COMMON}
        self._mean = sum(c.size for c in self._chunks) / max(1, len(self._chunks))

    def search(self, query: str, count: int, hidden: tuple[int, int, int]) -> list[Hit]:
        """The chunks that share most with a query, best first.

        :param hidden: a file's number and the lines of it, ``[first, last)``, that no chunk may touch.
        """
        scores: defaultdict[int, float] = defaultdict(float)
        for word, times in Counter(words_of(query)).items():
            holders = self._holders.get(word)
            if holders is None:
                continue
            worth = math.log(1 + len(self._chunks) / len(holders)) * min(times, 3)
            for chunk in holders:
                scores[chunk] += worth
        file, first, last = hidden

        def score(number: int) -> float:
            return scores[number] / (K1 * (1 - B + B * self._chunks[number].size / self._mean) + 1)

        found: list[Hit] = []
        for number in sorted(scores, key=lambda n: (-score(n), n)):
            chunk = self._chunks[number]
            if chunk.file == file and chunk.first < last and first < chunk.last:
                continue
            found.append(self._hit(chunk, score(number)))
            if len(found) == count:
                break
        return found

    def _hit(self, chunk: _Chunk, score: float) -> Hit:
        file = self.files[chunk.file]
        text = "\n".join(file.text.split("\n")[chunk.first : chunk.last])
        return Hit(
            0, file.path, "", chunk.first + 1, chunk.last, f"{text}\n", score, (), file.language
        )


def words_of(text: str) -> list[str]:
    """The identifiers of a text, in lower case, without those of every program."""
    found = (word.lower() for word in IDENTIFIER.findall(text))
    return [word for word in found if len(word) > 2 and word not in STOP_WORDS]


@dataclass(frozen=True, slots=True)
class Span:
    """A hole ``[start, end)`` in characters."""

    start: int
    end: int
    kind: str


@dataclass(slots=True)
class Lines:
    """Where the lines of a text begin."""

    text: str
    starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.starts = [0, *(match.end() for match in re.finditer("\n", self.text))]

    def at(self, place: int) -> int:
        """The line (0-based) of a character."""
        return bisect_right(self.starts, place) - 1

    def content(self, line: int) -> tuple[int, int]:
        """Where the text of a line begins and ends, without white space around it."""
        start = self.starts[line]
        end = self.starts[line + 1] - 1 if line + 1 < len(self.starts) else len(self.text)
        raw = self.text[start:end]
        return start + len(raw) - len(raw.lstrip()), start + len(raw.rstrip())


def cut(file: PackedFile, lines: Lines, rng: random.Random) -> Span | None:
    """A hole of a random kind; ``None`` where the place drawn has none."""
    (kind,) = rng.choices(list(KINDS), weights=list(KINDS.values()))
    if kind == "node":
        return Span(*rng.choice(file.nodes), kind) if file.nodes else None
    if kind == "chars":
        start = rng.randrange(len(file.text))
        return Span(start, min(len(file.text), start + rng.randint(1, MOST_CHARS)), kind)
    line = rng.randrange(len(lines.starts))
    begin, end = lines.content(line)
    if begin >= end:
        return None
    if kind == "nothing":
        return Span(end, end, kind)
    start = begin if rng.random() < INDENTED else lines.starts[line]
    if kind == "rest" or (kind == "lines" and rng.random() < 0.5):
        start = begin + rng.choice(
            [m.start() for m in _TOKEN.finditer(file.text[begin:end])] or [0]
        )
    if kind == "lines":
        last = min(len(lines.starts) - 1, line + rng.randint(1, MOST_LINES - 1))
        while last > line and lines.content(last)[0] >= lines.content(last)[1]:
            last -= 1
        end = lines.content(last)[1]
    return Span(start, end, kind)


def behind(lines: Lines, span: Span, rng: random.Random) -> int:
    """Where the text behind a hole goes on: at its end, or after what was not written yet."""
    if span.kind == "nothing" or rng.random() >= TYPED_SHARE:
        return span.end
    line = lines.at(span.end)
    depth = lines.content(lines.at(span.start))[0] - lines.starts[lines.at(span.start)]
    last = min(len(lines.starts), line + 1 + rng.randint(1, MOST_UNTYPED))
    for number in range(line + 1, last):
        begin, end = lines.content(number)
        # The author goes on in the same block.
        if begin < end and begin - lines.starts[number] < depth:
            last = number
            break
    return lines.starts[last] - 1 if last < len(lines.starts) else len(lines.text)


def make_piece(
    repository: Repository, number: int, tokenizer: TextTokenizer, rng: random.Random
) -> Piece | None:
    """A random example of the file with this number; ``None`` where the draw gives none."""
    file = repository.files[number]
    lines = Lines(file.text)
    span = cut(file, lines, rng)
    if span is None or (span.kind != "nothing" and not file.text[span.start : span.end].strip()):
        return None
    prefix, middle = file.text[: span.start], file.text[span.start : span.end]
    rest = behind(lines, span, rng)
    suffix = "" if rng.random() < LEFT_TO_RIGHT else file.text[rest:]
    retrieves = rng.random() < RETRIEVAL
    budget = Budget(*rng.choice(WITH_SNIPPETS if retrieves else PLAIN))
    hits: list[Hit] = []
    if retrieves:
        # No chunk of what the prompt shows anyway, nor of the hole.
        reach = budget.prompt * 4
        hidden = (number, lines.at(max(0, span.start - reach)), lines.at(rest) + 1)
        query = prefix[-BEFORE:] + "\n" + suffix[:BEHIND]
        hits = repository.search(query, MOST_SNIPPETS, hidden)
    prompt = build_prompt(
        tokenizer, path=file.path, language=file.language, prefix=prefix, suffix=suffix,
        snippets=hits, budget=budget, repository=repository.name,
    )  # fmt: skip
    ids = (*tokenizer.encode(prompt.forced_prefix + middle), tokenizer.end_id)
    return Piece(
        prompt.ids, ids, prompt.open_tokens, _weight(prompt, prefix, suffix, middle), span.kind
    )


def _weight(prompt: Prompt, prefix: str, suffix: str, middle: str) -> float:
    """More where the middle has a name that stands in a snippet and nowhere else in view."""
    names = set(words_of(middle))
    if not prompt.snippets or not names:
        return 1.0
    before, after = prompt.shown
    seen = words_of(prefix[len(prefix) - before :] + "\n" + suffix[:after])
    names.difference_update(seen)
    shown = {word for hit, _ in prompt.snippets for word in words_of(hit.text)}
    return SHOWN_WEIGHT if names & shown else 1.0
