"""Rows of the corpus, holes and files, with secrets masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.hole_selection import (
    shown_files,
    trainable_holes,
)
from git_copilot.assistant.dataset.row_files import Row
from git_copilot.assistant.dataset.samples import iso_time, readable
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import load_holes
from git_copilot.index.corpus.snapshot import snapshot_files
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.secrets.redaction import redact_bytes
from git_copilot.index.store.allowed_lines import allowed_in
from git_copilot.index.store.database import Database
from git_copilot.index.text.classify import language_of

HOLE_COLUMNS = (
    "repository", "path", "commit", "blob", "author", "time", "language", "kind",
    "prefix", "middle", "suffix",
)  # fmt: skip
TEXT_COLUMNS = (*HOLE_COLUMNS[:-3], "text")
FILE_COLUMNS = ("repository", "path", "commit", "blob", "language", "content")
COMMIT_BATCH = 100


def reachable_commits(repo: GitRepository, db: Database, since: int | None = None) -> list[str]:
    """The commits with holes that HEAD or some ref still reaches, newest first by their time."""
    rows = db.query(
        "SELECT oid FROM commits WHERE oid IN (SELECT commit_oid FROM holes) AND time >= ?"
        " ORDER BY time DESC, oid",
        (since if since is not None else -(2**63),),
    )
    lost = {str(oid) for (oid,) in rows}
    with repo.stream("rev-list", "--all") as out:
        for line in out:
            lost.discard(line.decode().strip())
            if not lost:
                break
    return [str(oid) for (oid,) in rows if oid not in lost]


def hole_batches(context: RepositoryContext, since: int | None = None) -> Iterator[list[Hole]]:
    """The holes of reachable commits, newest first, in batches of commits."""
    repo, db, progress = context.repo, context.db, context.progress
    commits = reachable_commits(repo, db, since)
    for begin in range(0, len(commits), COMMIT_BATCH):
        progress("exporting commits", begin, len(commits))
        yield trainable_holes(repo, load_holes(db, commits[begin : begin + COMMIT_BATCH]))
    progress("exporting commits", len(commits), len(commits))


def with_blobs(repo: GitRepository, holes: Sequence[Hole]) -> Iterator[tuple[Hole, bytes]]:
    """Each hole with its blob, in which secrets are masked; one blob is held at a time. Holes
    whose blob is missing, or with a secret on their lines, are left out."""
    groups = [list(group) for _, group in groupby(holes, key=lambda h: (h.blob, h.path))]
    waiting = iter(groups)
    allowed = allowed_in(repo)
    for oid, data in repo.blobs(group[0].blob for group in groups):
        # In the order of the groups, without the missing blobs.
        group = next(g for g in waiting if g[0].blob == oid)
        masked = redact_bytes(data, group[0].path, allowed)
        for hole in group:
            line = slice(data.rfind(b"\n", 0, hole.start) + 1, _line_end(data, hole.end))
            if hole.end <= len(data) and data[line] == masked[line]:
                yield hole, masked


def _line_end(data: bytes, place: int) -> int:
    end = data.find(b"\n", place)
    return end if end >= 0 else len(data)


def hole_row(repository: str, hole: Hole) -> Row:
    """The columns with the origin of a hole."""
    return {
        "repository": readable(repository),
        "path": readable(hole.path),
        "commit": hole.commit,
        "blob": hole.blob,
        "author": hole.author,
        "time": iso_time(hole.time),
        "language": hole.language,
        "kind": hole.kind,
    }


def hole_rows(context: RepositoryContext, *, since: int | None = None) -> Iterator[Row]:
    """One row per hole; prefix + middle + suffix is the blob, byte for byte unless it holds a
    secret."""
    for holes in hole_batches(context, since):
        for hole, data in with_blobs(context.repo, holes):
            yield {
                **hole_row(context.repo.name, hole),
                "prefix": data[: hole.start].decode("utf-8"),
                "middle": data[hole.start : hole.end].decode("utf-8"),
                "suffix": data[hole.end :].decode("utf-8"),
            }


def file_rows(context: RepositoryContext) -> Iterator[Row]:
    """One row per file of HEAD's tree that passes the filters of the Personal Copilot data set
    and is UTF-8."""
    repo = context.repo
    head = repo.head_commit()
    if head is None:
        return
    may_show, allowed = shown_files(repo, context.db, head), allowed_in(repo)
    for number, (entry, data) in enumerate(snapshot_files(repo, head)):
        context.progress("exporting files", number, 0)
        if not may_show(entry.path):
            continue
        try:
            content = redact_bytes(data, entry.path, allowed).decode("utf-8")
        except UnicodeDecodeError:
            continue
        yield {
            "repository": readable(repo.name),
            "path": readable(entry.path),
            "commit": head,
            "blob": entry.oid,
            "language": language_of(entry.path),
            "content": content,
        }
