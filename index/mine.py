"""Mines commits for holes, newest first. What was looked at is never looked at again."""

from __future__ import annotations

import os
import sqlite3
import statistics
from collections.abc import Sequence

from git_copilot.index.classify import (
    MAX_FILE_BYTES,
    TEXT,
    language_of,
    skip_content,
    skip_path,
)
from git_copilot.index.db import Database
from git_copilot.index.git import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.history import (
    CommitInfo,
    FileAdditions,
    additions,
    list_commits,
    shallow_commits,
)
from git_copilot.index.holes import HOLES_PER_COMMIT, choose_spans, seeded
from git_copilot.index.types import Hole, Progress, no_progress

# Enough for an adapter (the paper needs 1,000 holes), and a minute's work at most.
DEFAULT_HISTORY = 5000
COMMIT_BATCH = 100
# Until a repository has this many commits, quartiles of its commit sizes mean little.
MIN_FOR_QUARTILES = 20
_MASS_KEY = "mass_commit_files"


def mine(
    repo: GitRepository,
    db: Database,
    *,
    limit: int = DEFAULT_HISTORY,
    progress: Progress = no_progress,
) -> int:
    """Look at up to ``limit`` commits of HEAD's history that were not looked at before.

    :return: how many commits were new.
    """
    tip = repo.head_commit()
    if tip is None:
        return 0
    seen = {str(oid) for (oid,) in db.query("SELECT oid FROM commits")}
    commits = [c for c in list_commits(repo, tip, limit=limit) if c.oid not in seen]
    shallow = shallow_commits(repo)
    for begin in range(0, len(commits), COMMIT_BATCH):
        progress("mining commits", begin, len(commits))
        _mine_batch(repo, db, commits[begin : begin + COMMIT_BATCH], shallow)
    progress("mining commits", len(commits), len(commits))
    return len(commits)


def _mine_batch(
    repo: GitRepository, db: Database, commits: Sequence[CommitInfo], shallow: set[str]
) -> None:
    statuses = {c.oid: _rule_out(c, shallow) for c in commits}
    wanted = [oid for oid, status in statuses.items() if status == "mined"]
    added = dict(additions(repo, wanted))
    bound = _mass_bound(db, [len(files) for files in added.values()])
    holes: list[Hole] = []
    by_oid = {c.oid: c for c in commits}
    for oid in wanted:
        files = added.get(oid, [])
        if len(files) > bound:
            statuses[oid] = "mass"
        else:
            holes.extend(_holes_of(repo, by_oid[oid], files))
    with db.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO commits (oid, author, time, status) VALUES (?, ?, ?, ?)",
            [(c.oid, f"{c.author} <{c.email}>", c.time, statuses[c.oid]) for c in commits],
        )
        _insert(connection, holes)


def _insert(connection: sqlite3.Connection, holes: Sequence[Hole]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO holes (commit_oid, blob, path, language, start_byte, end_byte,"
        " kind) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (h.commit, h.blob, os.fsencode(h.path), h.language, h.start, h.end, h.kind)
            for h in holes
        ],
    )


def _rule_out(commit: CommitInfo, shallow: set[str]) -> str:
    if commit.oid in shallow:
        return "shallow"
    if len(commit.parents) > 1:
        return "merge"
    # The paper's rule, and the addresses that bots commit with.
    if "[bot]" in f"{commit.author}{commit.email}" or commit.author in ("GitHub", "dependabot"):
        return "bot"
    return "mined"


def _mass_bound(db: Database, sizes: Sequence[int]) -> float:
    """Commits of more files than this are sweeping changes: Q3 + 1.5 IQR, as in the paper.

    The bound is taken from the first batch that is large enough and then kept, so that a commit
    is judged alike whether it is mined alone or with the whole history.
    """
    rows = db.query("SELECT value FROM meta WHERE key = ?", (_MASS_KEY,))
    if rows:
        return float(str(rows[0][0]))
    if len(sizes) < MIN_FOR_QUARTILES:
        return float("inf")
    q1, _, q3 = statistics.quantiles(sizes, n=4)
    bound = max(q3 + 1.5 * (q3 - q1), 3.0)
    with db.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_MASS_KEY, str(bound)))
    return bound


def _minable(file: FileAdditions) -> bool:
    return (
        bool(file.runs)
        and file.mode not in (SUBMODULE, SYMLINK)
        and language_of(file.path) != TEXT
        and skip_path(file.path) is None
    )


def _holes_of(
    repo: GitRepository, commit: CommitInfo, files: Sequence[FileAdditions]
) -> list[Hole]:
    candidates = [f for f in files if _minable(f)]
    sizes = repo.blob_sizes({f.blob for f in candidates})
    candidates = [f for f in candidates if 0 < sizes.get(f.blob, 0) <= MAX_FILE_BYTES]
    blobs = dict(repo.blobs(dict.fromkeys(f.blob for f in candidates)))
    holes = [
        Hole(
            commit=commit.oid,
            blob=file.blob,
            path=file.path,
            start=span.start,
            end=span.end,
            kind=span.kind,
            author=f"{commit.author} <{commit.email}>",
            time=commit.time,
            language=language_of(file.path),
        )
        for file in candidates
        if file.blob in blobs and skip_content(blobs[file.blob]) is None
        for span in choose_spans(blobs[file.blob], file.runs, f"{commit.oid}:{file.path}")
    ]
    if len(holes) > HOLES_PER_COMMIT:
        holes = seeded(commit.oid).sample(holes, HOLES_PER_COMMIT)
    return sorted(holes, key=lambda h: (h.path, h.start))


def load_holes(db: Database, commits: Sequence[str]) -> list[Hole]:
    """The holes of ``commits``, in the order of the commits, then by path and place."""
    found: list[Hole] = []
    for oid in commits:
        rows = db.query(
            "SELECT h.id, h.blob, h.path, h.language, h.start_byte, h.end_byte, h.kind,"
            " c.author, c.time FROM holes h JOIN commits c ON c.oid = h.commit_oid"
            " WHERE h.commit_oid = ? ORDER BY h.path, h.start_byte",
            (oid,),
        )
        for hole_id, blob, path, language, start, end, kind, author, time in rows:
            found.append(
                Hole(
                    oid,
                    str(blob),
                    os.fsdecode(bytes(path)),  # type: ignore[call-overload]
                    int(str(start)),
                    int(str(end)),
                    str(kind),
                    str(author),
                    int(str(time)),
                    str(language),
                    int(str(hole_id)),
                )
            )
    return found


def corpus_counts(db: Database) -> dict[str, int]:
    """Commits looked at, holes, and authors of holes."""
    return {
        "commits": db.scalar("SELECT count(*) FROM commits"),
        "holes": db.scalar("SELECT count(*) FROM holes"),
        "authors": db.scalar(
            "SELECT count(DISTINCT c.author) FROM holes h JOIN commits c ON c.oid = h.commit_oid"
        ),
    }
