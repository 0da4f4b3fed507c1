"""Pairs that an embedder learns from: text around a cursor, and the chunk of another file that the
cursor's line needs.

Mined from trees of real histories. A name in a line that other files define (in few places, so
that it means one thing) and that is not to be seen around the cursor is what a completion there has
to know; the chunk that defines it, or one that uses it too, is what should be found.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from git_copilot.assistant.prompt.cursor_query import LINES_AFTER, LINES_BEFORE, cursor_query
from git_copilot.index.core.types import Chunk
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.snapshot import snapshot_files
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.edited_file import EditedFile
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.classify import language_of
from git_copilot.index.text.terms import IDENTIFIER, STOP_WORDS

# A name that more chunks define, or more use, says too little.
MAX_DEFINING, MAX_USING = 3, 12
MIN_NAME = 4
# Words of a first docstring line below this ("Constructor.") describe nothing.
MIN_DESCRIPTION = 5
_DESCRIPTION = re.compile(r'"""\s*([^\n"]+)|///\s*([^\n]+)|/\*\*\s*\n?\s*\*?\s*([^\n*]+)')


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and the text that answers it; ``group`` is the repository, whose other texts are
    the wrong answers."""

    query: str
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    lines: list[str]
    chunks: list[Chunk]


class Tree:
    """The files of one commit with their names."""

    def __init__(self, repo: GitRepository, commit: str) -> None:
        self.files: list[_File] = []
        self.defining: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self.using: dict[str, set[tuple[int, int]]] = defaultdict(set)
        for entry, data in snapshot_files(repo, commit):
            chunks = chunk_blob(data, language_of(entry.path))
            lines = data.decode("utf-8", "replace").split("\n")
            number = len(self.files)
            self.files.append(_File(entry.path, lines, chunks))
            for i, chunk in enumerate(chunks):
                for symbol in chunk.symbols:
                    self.defining[symbol.name].add((number, i))
                for name in set(IDENTIFIER.findall(chunk.text)):
                    self.using[name].add((number, i))

    def needed(self, number: int, line: int) -> list[str]:
        """Names of a line that other files define, this one does not, and nothing shows."""
        file = self.files[number]
        before = file.lines[max(0, line - LINES_BEFORE) : line]
        after = file.lines[line + 1 : line + 1 + LINES_AFTER]
        near = set(IDENTIFIER.findall("\n".join([*before, *after])))
        found = []
        for name in dict.fromkeys(IDENTIFIER.findall(file.lines[line])):
            places = self.defining.get(name, set())
            if (
                len(name) >= MIN_NAME
                and 0 < len(places) <= MAX_DEFINING
                and name.lower() not in STOP_WORDS
                and name not in near
                and all(f != number for f, _ in places)
            ):
                found.append(name)
        return found

    def answers(self, name: str, number: int) -> tuple[list[Chunk], list[Chunk]]:
        """The chunks of other files that define a name, and those that use it."""
        defining = self.defining[name]
        using = [p for p in sorted(self.using[name] - defining) if p[0] != number]
        return (
            [self.files[f].chunks[i] for f, i in sorted(defining)],
            [self.files[f].chunks[i] for f, i in using] if len(using) <= MAX_USING else [],
        )


def cursor_pairs(tree: Tree, group: str, most: int, seed: str, use_share: float) -> Iterator[Pair]:
    """At most ``most`` pairs from cursors, every file as likely as it has such lines.

    :param use_share: of the pairs, those whose answer uses the name instead of defining it.
    """
    rng = seeded_random(seed, group)
    places = [
        (number, line, names)
        for number, file in enumerate(tree.files)
        for line in range(len(file.lines))
        if (names := tree.needed(number, line))
    ]
    for number, line, names in rng.sample(places, min(most, len(places))):
        file, name = tree.files[number], rng.choice(names)
        defining, using = tree.answers(name, number)
        chosen = rng.choice(using if using and rng.random() < use_share else defining)
        text = file.lines[line]
        # The cursor stands before the name: at the line's text, or somewhere up to the name.
        last = text.index(name)
        column = rng.randint(min(last, len(text) - len(text.lstrip())), last)
        prefix = "\n".join([*file.lines[:line], text[:column]])
        suffix = "\n".join(["", *file.lines[line + 1 :]])
        query = cursor_query(
            EditedFile(file.path, prefix, suffix, len(prefix), len(suffix)), language_of(file.path)
        )
        yield Pair(query.text, chosen.text, group)


def described_pairs(tree: Tree, group: str, most: int, seed: str) -> Iterator[Pair]:
    """What people ask for in words: the first line of a description, and the chunk below it
    without that line."""
    rng = seeded_random(seed, group, "described")
    chunks = [c for file in tree.files for c in file.chunks if c.name]
    for chunk in rng.sample(chunks, len(chunks)):
        if most <= 0:
            return
        match = _DESCRIPTION.search(chunk.text)
        words = next((g for g in match.groups() if g), "").strip() if match else ""
        if match is None or len(words.split()) < MIN_DESCRIPTION:
            continue
        most -= 1
        yield Pair(words, chunk.text[: match.start()] + chunk.text[match.end() :], group)


def commits_of(repo: GitRepository, newest: str, count: int) -> list[str]:
    """``count`` commits of the first-parent history up to ``newest``, evenly spread over the newer
    two thirds of it."""
    out = repo.run("rev-list", "--first-parent", newest).decode("ascii").split()
    span = len(out) * 2 // 3
    return list(dict.fromkeys(out[i * span // count] for i in range(count)))


def read_pairs(
    repo: GitRepository, name: str, commits: Sequence[str], facts: dict[str, float], seed: str
) -> list[Pair]:
    """All pairs of a repository, each query once, in a seeded order."""
    found: dict[tuple[str, str], Pair] = {}
    for commit in commits:
        tree = Tree(repo, commit)
        most = int(facts["cursors"]) // len(commits)
        for pair in (
            *cursor_pairs(tree, name, most, f"{seed} {commit}", facts["use_share"]),
            *described_pairs(tree, name, round(most * facts["described_share"]), seed),
        ):
            found.setdefault((pair.query, pair.text), pair)
    pairs = list(found.values())
    random.Random(seed).shuffle(pairs)
    return pairs
