"""Finds duplicates in the training set, and copies of held-out holes.

Models memorise duplicated training data (Lee et al. 2022, arXiv 2107.06499), and with copies of
held-out holes in the training set an evaluation measures memory (Allamanis 2019, arXiv 1812.06469).

A hole's *neighbourhood* is its middle with up to :data:`NEAR_LINES` lines that are not blank on
each side, as tokens, those of the middle marked: the same lines with another middle are another
question. A text is *distinctive* from :data:`MIN_DISTINCTIVE` characters on; ``return None`` may
come from anywhere and stays in the training set, whatever is held out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.dataset.near_duplicates import (
    NearIndex,
    Shingles,
    near_duplicates,
    shingles,
    tokens,
)
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

NEAR_LINES = 3
# Characters of a (minified) line that count as near.
NEAR_CHARACTERS = 2000
# Without white space at the ends, and with single spaces elsewhere.
MIN_DISTINCTIVE = 30
# A single line that stands in this many files is an idiom of the repository.
IDIOM_FILES = 3
_MARK = "\0"


@dataclass(frozen=True, slots=True)
class DuplicateCounts:
    """Number of holes dropped as exact or near duplicates of another hole of the training set."""

    exact: int
    near: int


@dataclass(frozen=True, slots=True)
class KnownHoles:
    """Numbers of held-out holes that an adapter knows: ``learnt``, themselves or a near copy, or
    else ``shown`` in the text around what it learnt."""

    learnt: int = 0
    shown: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.learnt + self.shown


Pair = tuple[int, int]  # indices of a training hole and of a held-out one
Passage = tuple[str, str]  # a file's path and some of its text


def is_distinctive(text: str) -> bool:
    """Whether a text is long enough to tell where it comes from."""
    return len(" ".join(text.split())) >= MIN_DISTINCTIVE


def surroundings(cut: Cut) -> tuple[str, str]:
    """The text before and after the middle within :data:`NEAR_LINES` lines that are not blank, and
    the rest of the hole's own lines."""
    before = cut.prefix[-NEAR_CHARACTERS:].split("\n")
    after = cut.suffix[:NEAR_CHARACTERS].split("\n")
    first = _written(before[-2::-1])
    return "\n".join(before[len(before) - 1 - first :]), "\n".join(after[: 1 + _written(after[1:])])


def _written(lines: Sequence[str]) -> int:
    """The number of lines up to the :data:`NEAR_LINES`-th that is not blank."""
    seen = 0
    for count, line in enumerate(lines, 1):
        seen += bool(line.strip())
        if seen == NEAR_LINES:
            return count
    return len(lines)


def neighbourhood(cut: Cut) -> list[str]:
    """The tokens of the hole's neighbourhood."""
    before, after = surroundings(cut)
    return [*tokens(before), *(_MARK + token for token in tokens(cut.middle)), *tokens(after)]


def own_lines(cut: Cut) -> str:
    """The whole lines that the middle stands on."""
    return cut.prefix.rpartition("\n")[2] + cut.middle + cut.suffix.partition("\n")[0]


def _plain(text: str) -> str:
    """A text to compare: without white space, which formatters change."""
    return "".join(text.split())


def drop_duplicates(cuts: Sequence[Cut]) -> tuple[list[Cut], DuplicateCounts]:
    """Keep the first of the holes whose neighbourhoods are equal, white space aside, and then the
    first of those that are near-duplicates.

    :param cuts: newest first, so that the current version is kept and not an older one.
    """
    unique: dict[str, Cut] = {}
    for cut in cuts:
        unique.setdefault(" ".join(neighbourhood(cut)), cut)
    first = list(unique.values())
    near = set(near_duplicates([shingles(key.split(" ")) for key in unique]))
    kept = [cut for i, cut in enumerate(first) if i not in near]
    return kept, DuplicateCounts(exact=len(cuts) - len(first), near=len(near))


def find_copies(training: Sequence[Cut], held_out: Sequence[Cut]) -> Iterator[Pair]:
    """Pairs of a training hole and a held-out one with the same distinctive lines, or whose
    distinctive middles or neighbourhoods are equal or near-duplicates."""
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for h, cut in enumerate(held_out):
        if is_distinctive(own_lines(cut)):
            lines[_plain(own_lines(cut))].append(h)
    distinctive = [h for h, cut in enumerate(held_out) if is_distinctive(cut.middle)]
    middles = NearIndex(_middle(held_out[h]) for h in distinctive)
    places = NearIndex(shingles(neighbourhood(cut)) for cut in held_out)
    for t, cut in enumerate(training):
        found = set(lines.get(_plain(own_lines(cut)), ()))
        if is_distinctive(cut.middle):
            found.update(distinctive[n] for n in middles.near(_middle(cut)))
        found.update(places.near(shingles(neighbourhood(cut))))
        yield from ((t, h) for h in sorted(found))


def _middle(cut: Cut) -> Shingles:
    return shingles(tokens(cut.middle))


def find_shown(shown: Sequence[Sequence[Passage]], held_out: Sequence[Cut]) -> Iterator[Pair]:
    """Pairs of a training example and a held-out hole whose distinctive middle stands in the text
    of the example, white space aside: code that was deleted and came back, or moved.

    Idioms are skipped: single lines that the examples show in :data:`IDIOM_FILES` files.

    :param shown: for each example, its passages.
    """
    texts = [[(path, _plain(text)) for path, text in passages] for passages in shown]
    wanted: defaultdict[str, list[int]] = defaultdict(list)
    for h, cut in enumerate(held_out):
        if is_distinctive(cut.middle):
            wanted[_plain(cut.middle)].append(h)
    for middle, owners in wanted.items():
        files, found = set(), []
        for t, passages in enumerate(texts):
            paths = [path for path, text in passages if middle in text]
            files.update(paths)
            if paths:
                found.append(t)
        one_line = "\n" not in held_out[owners[0]].middle.strip()
        if not one_line or len(files) < IDIOM_FILES:
            yield from ((t, h) for t in found for h in owners)


def drop_copies(training: Sequence[Cut], held_out: Sequence[Cut]) -> tuple[list[Cut], int]:
    """Drop the training holes that are copies of a held-out one (:func:`find_copies`).

    :return: the remaining holes, and the number dropped.
    """
    copies = {t for t, _ in find_copies(training, held_out)}
    return [cut for t, cut in enumerate(training) if t not in copies], len(copies)


def drop_showing(
    examples: Sequence[Example], held_out: Sequence[Cut], tokenizer: TextTokenizer
) -> tuple[list[Example], int]:
    """Drop the examples that show a held-out middle (:func:`find_shown`) in their prompt, snippets
    included, or across the ends of their own middle.

    :return: the remaining examples, and the number dropped.
    """
    shown = [_passages(example, tokenizer) for example in examples]
    showing = {t for t, _ in find_shown(shown, held_out)}
    return [e for t, e in enumerate(examples) if t not in showing], len(showing)


def _passages(example: Example, tokenizer: TextTokenizer) -> list[Passage]:
    path = example.hole.path
    before, after = surroundings(example.cut)
    return [
        (path, tokenizer.decode([*example.prompt_ids, *example.middle_ids])),
        # The prompt may separate text that is contiguous in the file.
        (path, before + example.middle + after),
        *((hit.path, hit.text) for hit, _ in example.prompt.snippets),
    ]


def drop_known(
    held_out: Sequence[Cut], training: Sequence[Cut], reach: int
) -> tuple[list[Cut], KnownHoles]:
    """Drop the held-out holes whose copies were trained on, by :func:`find_copies` and
    :func:`find_shown`, for an adapter that is already trained.

    :param reach: the number of characters before and after a training hole that were shown at most.
    :return: the remaining holes, and how many were dropped.
    """
    shown = [
        [(cut.hole.path, cut.prefix[-reach:] + cut.middle + cut.suffix[:reach])] for cut in training
    ]
    learnt = {h for _, h in find_copies(training, held_out)}
    seen = {h for _, h in find_shown(shown, held_out)} - learnt
    kept = [cut for h, cut in enumerate(held_out) if h not in learnt | seen]
    return kept, KnownHoles(len(learnt), len(seen))
