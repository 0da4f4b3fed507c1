"""Cuts the holes of commits: selects files, streams their blobs, chooses spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.cuts import Span
from git_copilot.index.corpus.holes import HOLES_PER_COMMIT, choose_spans, seeded_random
from git_copilot.index.git.history import CommitInfo, FileAdditions
from git_copilot.index.git.repository import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.secrets.scan import touches_secret
from git_copilot.index.store.forget import NOTHING_FORGOTTEN, REASON, Forgotten
from git_copilot.index.text.classify import (
    MAX_FILE_BYTES,
    TEXT,
    language_of,
    long_lines,
    looks_generated,
    skip_content,
)


@dataclass(slots=True)
class CommitHoles:
    """The holes of one commit, by path and place, and by reason the number of files without holes
    (for ``cap`` and ``secret``, of dropped holes)."""

    commit: str
    holes: list[Hole] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def author_identity(commit: CommitInfo) -> str:
    """The author as stored in the corpus: ``Name <address>``."""
    return f"{commit.author} <{commit.email}>"


def harvest_holes(
    repo: GitRepository,
    commits: Sequence[tuple[CommitInfo, Sequence[FileAdditions]]],
    out: Mapping[str, str],
    forgotten: Forgotten = NOTHING_FORGOTTEN,
    allowed: Container[str] = (),
) -> list[CommitHoles]:
    """Cut holes into the lines that commits added; none touches a line that looks like a secret.
    Blobs are streamed, and only one is in memory at a time.

    :param out: excluded paths, with the reason (:func:`.rules.exclusion_reasons`).
    :param allowed: fingerprints of allowed lines (:mod:`.allowed_lines`).
    """
    by_commit = {commit.oid: CommitHoles(commit.oid) for commit, _ in commits}
    candidates: list[tuple[CommitInfo, FileAdditions]] = []
    for commit, files in commits:
        for file in files:
            reason = REASON if forgotten.covers_path(file.path) else skip_file(file, out)
            if reason is None:
                candidates.append((commit, file))
            else:
                by_commit[commit.oid].left_out[reason] += 1
    for commit, file, data in _with_blobs(repo, candidates, by_commit):
        found = by_commit[commit.oid]
        reason = skip_blob(data)
        if reason is not None:
            found.left_out[reason] += 1
            continue
        language = language_of(file.path)
        spans = choose_spans(data, file.runs, f"{commit.oid}:{file.path}", language)
        found.left_out["no hole fits"] += not spans
        spans = spans_without_long_lines(data, spans)
        clear = spans_without_secrets(data, spans, language, allowed)
        found.left_out["secret"] += len(spans) - len(clear)
        found.holes += [hole_at(commit, file, language, span) for span in clear]
    return [_cap(found) for found in by_commit.values()]


def spans_without_secrets(
    data: bytes, spans: Sequence[Span], language: str, allowed: Container[str] = ()
) -> list[Span]:
    """The spans that touch no secret line, except allowed ones."""
    return [s for s in spans if not touches_secret(data, s.start, s.end, language, allowed)]


def spans_without_long_lines(data: bytes, spans: Sequence[Span]) -> list[Span]:
    """The spans that touch no line that is too long for the index."""
    hidden = long_lines(data)
    if not hidden:
        return list(spans)
    first = ((span, data.count(b"\n", 0, span.start) + 1) for span in spans)
    return [
        span
        for span, line in first
        if hidden.isdisjoint(range(line, line + data.count(b"\n", span.start, span.end) + 1))
    ]


def _with_blobs(
    repo: GitRepository,
    candidates: Sequence[tuple[CommitInfo, FileAdditions]],
    by_commit: dict[str, CommitHoles],
) -> Iterator[tuple[CommitInfo, FileAdditions, bytes]]:
    """Each candidate with its blob; missing and too large ones are counted as left out."""
    sizes = repo.blob_sizes({file.blob for _, file in candidates})
    small = []
    for commit, file in candidates:
        size = sizes.get(file.blob)
        if size is not None and size <= MAX_FILE_BYTES:
            small.append((commit, file))
        else:
            by_commit[commit.oid].left_out["missing" if size is None else "large"] += 1
    blobs = repo.blobs(file.blob for _, file in small)
    return ((c, f, data) for (c, f), (_, data) in zip(small, blobs, strict=True))


def skip_file(file: FileAdditions, out: Mapping[str, str]) -> str | None:
    """The reason to take no hole from a file, by its name, its mode and the rules; ``None`` if
    there is none. ``out`` is as for :func:`harvest_holes`."""
    if not file.runs:
        return "nothing added"
    if file.mode in (SUBMODULE, SYMLINK):
        return "link"
    if language_of(file.path) == TEXT:
        return "not code"
    return out.get(file.path)


def skip_blob(data: bytes) -> str | None:
    """The reason to take no hole from a file by its content, or ``None``."""
    return skip_content(data) or ("generated" if looks_generated(data) else None)


def hole_at(commit: CommitInfo, file: FileAdditions, language: str, span: Span) -> Hole:
    """The hole at ``span`` of a file that a commit wrote."""
    return Hole(
        commit=commit.oid,
        blob=file.blob,
        path=file.path,
        start=span.start,
        end=span.end,
        kind=span.kind,
        author=author_identity(commit),
        time=commit.time,
        language=language,
    )


def _cap(found: CommitHoles) -> CommitHoles:
    """Keep at most :data:`HOLES_PER_COMMIT` holes, so that no commit dominates."""
    if len(found.holes) > HOLES_PER_COMMIT:
        found.left_out["cap"] = len(found.holes) - HOLES_PER_COMMIT
        found.holes = seeded_random(found.commit).sample(found.holes, HOLES_PER_COMMIT)
    found.holes.sort(key=lambda h: (h.path, h.start))
    found.left_out = +found.left_out
    return found
