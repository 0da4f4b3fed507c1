"""Feeds a :class:`Lineage` with the differences of commits and the lines of their holes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.types import Progress, no_progress
from git_copilot.index.corpus.lineage import HoleRemains, Lineage
from git_copilot.index.git.history import CommitInfo, FilePatch, patches, patches_between
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import decode_path

COMMIT_BATCH = 250
# Lines that were only reindented survive: wrapping code in a block does not make it worse. In 5,000
# commits of mypy this saves 2% of the holes.
LINES = ("-w", "--indent-heuristic")
# Renames with edits are searched for among at most 200 x 200 files (1,000 x 1,000 found no more in
# click and mypy); exact renames are always found.
RENAMES = ("-M", "-l200")


@dataclass(frozen=True, slots=True)
class AddedHole:
    """A hole to track: ``lines`` (1-based) of the file ``path`` with the content ``blob``."""

    hole: int
    path: str
    blob: str
    lines: list[int]


def covered_lines(data: bytes, start: int, end: int) -> list[int]:
    """The lines (1-based) that have more than white space in ``data[start:end]``."""
    first = data.count(b"\n", 0, start) + 1
    parts = data[start:end].split(b"\n")
    return [number for number, part in enumerate(parts, first) if part.strip()]


def trace(
    repo: GitRepository,
    db: Database,
    commits: Sequence[CommitInfo],
    start: tuple[str, dict[int, HoleRemains]] | None = None,
    progress: Progress = no_progress,
) -> dict[int, HoleRemains]:
    """Track the holes of ``commits``, and those of ``start``, to the last of ``commits``.

    :param commits: parents first; with a ``start``, their parents are among them or equal it.
    :param start: a commit, and the remains of holes there.
    :return: remains by hole, without those that git cannot show or compare.
    """
    lineage = Lineage(commits, partial(_between, repo))
    if start is not None:
        lineage.resume(*start, {entry.path: entry.oid for entry in repo.ls_tree(start[0])})
    for begin in range(0, len(commits), COMMIT_BATCH):
        progress("following lines", begin, len(commits))
        batch = commits[begin : begin + COMMIT_BATCH]
        planted = _added_holes(repo, db, [commit.oid for commit in batch])
        for commit, found in _differences(repo, batch):
            lineage.step(commit, found)
            for hole in planted.get(commit.oid, ()):
                lineage.track(commit.oid, hole.path, hole.blob, hole.hole, hole.lines)
    progress("following lines", len(commits), len(commits))
    return lineage.remains(commits[-1].oid) if commits else {}


def _added_holes(
    repo: GitRepository, db: Database, commits: Sequence[str]
) -> dict[str, list[AddedHole]]:
    """The holes of ``commits``, by commit; those with missing blobs are omitted."""
    rows = db.query(
        "SELECT blob, commit_oid, path, id, start_byte, end_byte FROM holes"
        " WHERE commit_oid IN (SELECT value FROM json_each(?))",
        (json.dumps(list(commits)),),
    )
    by_blob: dict[str, list[tuple[object, ...]]] = {}
    for blob, *row in rows:
        by_blob.setdefault(str(blob), []).append(tuple(row))
    planted: dict[str, list[AddedHole]] = {}
    for blob, data in repo.blobs(by_blob):
        for commit, path, hole, start, end in by_blob[blob]:
            name = decode_path(path)
            lines = covered_lines(data, int(str(start)), int(str(end)))
            planted.setdefault(str(commit), []).append(
                AddedHole(int(str(hole)), name, blob, lines),
            )
    return planted


def _differences(
    repo: GitRepository, commits: Sequence[CommitInfo]
) -> Iterator[tuple[CommitInfo, list[FilePatch] | None]]:
    """Each commit with its difference from its first parent."""
    pending = list(commits)
    while pending:
        done = 0
        try:
            stream = patches(repo, [_request(commit) for commit in pending], *RENAMES, *LINES)
            for commit, (_, found) in zip(pending, stream, strict=True):
                done += 1
                yield commit, found
            return
        except GitError:
            pending = pending[done:]
        yield pending[0], _difference(repo, pending.pop(0))


def _request(commit: CommitInfo) -> str:
    return " ".join([commit.oid, *commit.parents[:1]]) if len(commit.parents) > 1 else commit.oid


def _difference(repo: GitRepository, commit: CommitInfo) -> list[FilePatch] | None:
    """The difference of a commit with missing objects, as far as it is available."""
    try:
        return next(patches(repo, [_request(commit)], *RENAMES, *LINES))[1]
    except GitError:
        pass
    try:
        changes = repo.diff_trees(commit.parents[0], commit.oid) if commit.parents else []
    except GitError:
        return None
    return [
        FilePatch(change.path, change.path, opaque=True)
        for change in changes
        if change.old is not None
    ]


def _between(repo: GitRepository, old: str, new: str, paths: Sequence[str]) -> list[FilePatch]:
    """The patches of files of ``old`` in ``new``, following renames."""
    try:
        found = patches_between(repo, old, new, paths, "--no-renames", *LINES)
        if not any(patch.deleted for patch in found):
            return found
        # They may have moved anywhere. Ask for renames only, since the rest can be large.
        wanted = set(paths)
        moved = [
            patch
            for patch in patches_between(repo, old, new, (), *RENAMES, *LINES, "--diff-filter=R")
            if patch.old_path in wanted
        ]
        sources = {patch.old_path for patch in moved}
        return [patch for patch in found if patch.old_path not in sources] + moved
    except GitError:
        return [FilePatch(path, path, opaque=True) for path in paths]
