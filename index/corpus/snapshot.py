"""Cuts holes into a whole tree, for repositories with a short or squashed history.

The filters are those of the Personal Copilot data set: lines of at most 100 characters on average
and 1,000 each, and at least a quarter of the characters letters or digits.
"""

from __future__ import annotations

from collections.abc import Iterator

from git_copilot.index.core.types import Hole, TreeEntry
from git_copilot.index.corpus.cuts import Span
from git_copilot.index.corpus.harvest import spans_without_secrets
from git_copilot.index.corpus.holes import HOLES_PER_FILE, choose_spans
from git_copilot.index.filters import rules
from git_copilot.index.git.repository import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.store.allowed_lines import allowed_in
from git_copilot.index.text.classify import (
    MAX_FILE_BYTES,
    TEXT,
    language_of,
    looks_generated,
    skip_content,
)

MEAN_LINE, LONGEST_LINE = 100, 1000
MIN_ALPHANUMERIC = 0.25


def snapshot_holes(
    repo: GitRepository, commit: str, *, time: int = 0, per_file: int = HOLES_PER_FILE
) -> Iterator[Hole]:
    """Holes anywhere in the files of ``commit``'s tree, in path order. They have no author, since
    it is not known who wrote which line.

    :param time: stored with each hole, in seconds since 1970.
    """
    taken_in = allowed_in(repo)
    for entry, data in snapshot_files(repo, commit):
        language = language_of(entry.path)
        lines = data.count(b"\n") + 1
        seed = f"snapshot:{entry.oid}:{entry.path}"
        spans = choose_spans(data, [(1, lines)], seed, language, per_file)
        for span in spans_without_secrets(data, spans, language, taken_in):
            yield hole_of_tree(commit, entry, span, language, time)


def hole_of_tree(commit: str, entry: TreeEntry, span: Span, language: str, time: int) -> Hole:
    """The hole of a span of a file in ``commit``'s tree."""
    return Hole(
        commit=commit,
        blob=entry.oid,
        path=entry.path,
        start=span.start,
        end=span.end,
        kind=span.kind,
        author="",
        time=time,
        language=language,
    )


def snapshot_files(repo: GitRepository, commit: str) -> Iterator[tuple[TreeEntry, bytes]]:
    """The hand-written code files of ``commit``'s tree that its rules do not exclude, with their
    content, in path order."""
    listed = repo.ls_tree(commit)
    entries = [e for e in listed if _is_code_file(e)]
    out = rules.exclusion_reasons(repo, commit, [e.path for e in entries], listed)
    entries = [e for e in entries if e.path not in out]
    sizes = repo.blob_sizes({e.oid for e in entries})
    entries = [e for e in entries if 0 < sizes.get(e.oid, 0) <= MAX_FILE_BYTES]
    blobs = repo.blobs(e.oid for e in entries)
    for entry, (_, data) in zip(entries, blobs, strict=True):
        if is_handwritten_code(data):
            yield entry, data


def _is_code_file(entry: TreeEntry) -> bool:
    return entry.mode not in (SUBMODULE, SYMLINK) and language_of(entry.path) != TEXT


def is_handwritten_code(data: bytes) -> bool:
    """Whether a file passes the filters of the Personal Copilot data set and is not generated."""
    if skip_content(data) is not None or looks_generated(data):
        return False
    lines = data.splitlines()
    if sum(map(len, lines)) > MEAN_LINE * len(lines) or max(map(len, lines)) > LONGEST_LINE:
        return False
    text = data.decode("utf-8", "replace")
    return sum(c.isalnum() for c in text) >= MIN_ALPHANUMERIC * len(text)
