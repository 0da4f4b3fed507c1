"""Rests of lines of code as it stands, from any of the model's tokens on: the easiest holes there are.

The first try at teaching this model to fill in the middle was judged by them. The kind ``line`` of
index/corpus/cuts.py leaves out what is shorter than three tokens, and so most of what is easy.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.snapshot import snapshot_files
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.text.classify import language_of

KIND = "rest"


def rest_holes(
    repo: GitRepository, commit: str, tokenizer: TextTokenizer, per_file: int
) -> Iterator[Hole]:
    """At most ``per_file`` holes of each file of ``commit``'s tree, on as many lines."""
    for entry, data in snapshot_files(repo, commit):
        language = language_of(entry.path)
        rng = seeded_random("rest", entry.oid, entry.path)
        lines = list(enumerate(data.split(b"\n")))
        rng.shuffle(lines)
        starts, at = [], 0
        for line in data.split(b"\n"):
            starts.append(at)
            at += len(line) + 1
        found = 0
        for number, line in lines:
            begin = cut(line, tokenizer, rng)
            if begin is None:
                continue
            start = starts[number] + begin
            end = starts[number] + len(line.rstrip())
            yield Hole(commit, entry.oid, entry.path, start, end, KIND, "", 0, language)
            found += 1
            if found == per_file:
                break


def cut(line: bytes, tokenizer: TextTokenizer, rng: Random) -> int | None:
    """The byte at which a random token but the first begins; ``None`` where there is none before
    the end of the line's text, or the line is not UTF-8."""
    try:
        text = line.decode().rstrip()
    except UnicodeDecodeError:
        return None
    ids = tokenizer.encode(text)
    if len(ids) < 2:
        return None
    head = tokenizer.decode(ids[: rng.randrange(1, len(ids))])
    return len(head.encode()) if text.startswith(head) and text[len(head) :].strip() else None
