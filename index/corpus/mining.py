"""Mines commits for holes, newest first. A commit is mined once, unless objects that it lacked have
arrived since (revisit.py)."""

from __future__ import annotations

import os
import sqlite3
import statistics
from collections.abc import Mapping, Sequence

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.types import Hole, Progress, TreeEntry, no_progress
from git_copilot.index.corpus.feedback_holes import resolve, store_resolved
from git_copilot.index.corpus.harvest import CommitHoles, author_identity, harvest_holes
from git_copilot.index.corpus.prune import prune_lost
from git_copilot.index.filters import rules
from git_copilot.index.git.history import (
    CommitInfo,
    FileAdditions,
    additions,
    list_commits,
    shallow_commits,
)
from git_copilot.index.git.missing_objects import MissingObjects, find_missing_objects
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import allowed_lines
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import decode_path
from git_copilot.index.store.forget import REASON, Forgotten
from git_copilot.index.sync.revisit import record_limit, record_stamp, revisit, stamp

# Enough for an adapter (the paper needs 1,000 holes), and a minute's work at most.
DEFAULT_HISTORY = 5000
COMMIT_BATCH = 100
# With fewer commits, quartiles of commit sizes are not meaningful.
MIN_FOR_QUARTILES = 20
_MASS_KEY = "mass_commit_files"


def mine(
    repo: GitRepository,
    db: Database,
    *,
    limit: int = DEFAULT_HISTORY,
    progress: Progress = no_progress,
) -> int:
    """Mine the newest ``limit`` commits of HEAD's history, unless they are mined already and lack
    no object that has arrived since, and remove commits that are no longer in history. Files that
    HEAD's rules exclude from the index give no holes, whichever commit wrote them.

    :return: the number of newly mined commits.
    """
    prune_lost(repo, db)
    # Taken first, so that objects that arrive meanwhile are noticed next time.
    begun = stamp(repo)
    revisit(repo, db)
    tip = repo.head_commit()
    if tip is None:
        record_stamp(db, begun)
        return 0
    seen = {str(oid) for (oid,) in db.query("SELECT oid FROM commits")}
    listed = list_commits(repo, tip, limit=limit + 1 if limit else 0)
    record_limit(db, limit if limit and len(listed) > limit else 0)
    commits = [c for c in listed[: limit or None] if c.oid not in seen]
    shallow = shallow_commits(repo)
    tree = repo.head_tree_or_empty()
    # With several batches, the tree is listed only once.
    known = _rule_files(repo, tree) if len(commits) > COMMIT_BATCH else None
    for begin in range(0, len(commits), COMMIT_BATCH):
        progress("mining commits", begin, len(commits))
        _mine_batch(repo, db, commits[begin : begin + COMMIT_BATCH], shallow, (tree, known))
    progress("mining commits", len(commits), len(commits))
    record_stamp(db, begun)
    return len(commits)


def _rule_files(repo: GitRepository, tree: str) -> list[TreeEntry]:
    return [entry for entry in repo.ls_tree(tree) if rules.is_rule_file(entry.path)]


def _mine_batch(
    repo: GitRepository,
    db: Database,
    commits: Sequence[CommitInfo],
    shallow: set[str],
    ruling: tuple[str, list[TreeEntry] | None],
) -> None:
    """
    :param ruling: the tree whose rules apply, and its rule files if they are known.
    """
    forgotten = Forgotten.load(db)
    statuses = {c.oid: _rule_out(c, shallow, forgotten) for c in commits}
    added, gaps = _read(repo, [c for c in commits if statuses[c.oid] == "mined"])
    statuses.update(dict.fromkeys(gaps, "missing"))
    bound = _mass_bound(db, [len(files) for files in added.values()])
    statuses.update({oid: "mass" for oid, files in added.items() if len(files) > bound})
    mined = [c for c in commits if statuses[c.oid] == "mined"]
    paths = dict.fromkeys(file.path for c in mined for file in added[c.oid])
    out = rules.exclusion_reasons(repo, ruling[0], list(paths), ruling[1])
    found = harvest_holes(
        repo, [(c, added[c.oid]) for c in mined], out, forgotten, allowed_lines.load(db)
    )
    answers = resolve(repo, db, commits, {c.oid for c in mined})
    with db.transaction() as connection:
        if Forgotten.load(db) == forgotten:
            _store(connection, commits, statuses, found, gaps)
            store_resolved(
                connection, [case for case in answers if not forgotten.covers_path(case.path)]
            )
            return
    _mine_batch(repo, db, commits, shallow, ruling)  # the forget rules changed meanwhile


def _store(
    connection: sqlite3.Connection,
    commits: Sequence[CommitInfo],
    statuses: Mapping[str, str],
    found: Sequence[CommitHoles],
    gaps: Mapping[str, MissingObjects],
) -> None:
    waits_for = {oid: gap.first_missing or None for oid, gap in gaps.items()}
    connection.executemany(
        "INSERT OR IGNORE INTO commits (oid, author, time, status, waits_for)"
        " VALUES (?, ?, ?, ?, ?)",
        [
            (c.oid, author_identity(c), c.time, statuses[c.oid], waits_for.get(c.oid))
            for c in commits
        ],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO left_out VALUES (?, 'missing', ?)",
        [(oid, gap.count) for oid, gap in gaps.items()],
    )
    for each in found:
        connection.executemany(
            "INSERT OR IGNORE INTO left_out VALUES (?, ?, ?)",
            [(each.commit, reason, count) for reason, count in each.left_out.items()],
        )
        _insert(connection, each.holes)


def _read(
    repo: GitRepository, commits: Sequence[CommitInfo]
) -> tuple[dict[str, list[FileAdditions]], dict[str, MissingObjects]]:
    """The lines that commits added, and the missing objects of unreadable commits."""
    gaps = find_missing_objects(repo, commits) if repo.is_partial_clone else {}
    try:
        return _additions(repo, [c.oid for c in commits if c.oid not in gaps]), gaps
    except GitError:  # a damaged repository, or an undeclared partial clone
        gaps = find_missing_objects(repo, commits)
    added = _salvaged(repo, [c.oid for c in commits if c.oid not in gaps])
    gaps |= {oid: MissingObjects("", 1) for oid, files in added.items() if files is None}
    return {oid: files for oid, files in added.items() if files is not None}, gaps


def _additions(repo: GitRepository, oids: Sequence[str]) -> dict[str, list[FileAdditions]]:
    """The lines that commits added.

    :raises GitError: an object is missing or damaged.
    """
    return {**{oid: [] for oid in oids}, **dict(additions(repo, oids))}


def _salvaged(repo: GitRepository, oids: Sequence[str]) -> Mapping[str, list[FileAdditions] | None]:
    """The same by bisection; ``None`` for commits that git cannot read."""
    try:
        return _additions(repo, oids)
    except GitError:
        if len(oids) == 1:
            return {oids[0]: None}
        half = len(oids) // 2
        return {**_salvaged(repo, oids[:half]), **_salvaged(repo, oids[half:])}


def _insert(connection: sqlite3.Connection, holes: Sequence[Hole]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO holes (commit_oid, blob, path, language, start_byte, end_byte,"
        " kind) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (h.commit, h.blob, os.fsencode(h.path), h.language, h.start, h.end, h.kind)
            for h in holes
        ],
    )


def _rule_out(commit: CommitInfo, shallow: set[str], forgotten: Forgotten) -> str:
    if forgotten.covers_commit(commit.oid) or forgotten.covers_author(author_identity(commit)):
        return REASON
    if commit.oid in shallow:
        return "shallow"
    if len(commit.parents) > 1:
        return "merge"
    # The paper's rule, and the usual addresses of bots.
    if "[bot]" in f"{commit.author}{commit.email}" or commit.author in ("GitHub", "dependabot"):
        return "bot"
    return "mined"


def _mass_bound(db: Database, sizes: Sequence[int]) -> float:
    """Commits with more files than this are sweeping changes: Q3 + 1.5 IQR, as in the paper.

    The bound is computed from the first batch that is large enough and then kept, so that a commit
    is judged the same whether it is mined alone or with the whole history.
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


HOLE_COLUMNS = (
    "h.id, h.commit_oid, h.blob, h.path, h.language, h.start_byte, h.end_byte, h.kind,"
    " c.author, c.time FROM holes h JOIN commits c ON c.oid = h.commit_oid"
)


def read_hole(row: tuple[object, ...]) -> Hole:
    """The hole in a row of :data:`HOLE_COLUMNS`."""
    number, commit, blob, path, language, start, end, kind, author, time = row
    return Hole(
        commit=str(commit),
        blob=str(blob),
        path=decode_path(path),
        start=int(str(start)),
        end=int(str(end)),
        kind=str(kind),
        author=str(author),
        time=int(str(time)),
        language=str(language),
        id=int(str(number)),
    )


def load_holes(db: Database, commits: Sequence[str]) -> list[Hole]:
    """The holes of ``commits``, in the order of the commits, then by path and place."""
    found: list[Hole] = []
    for oid in commits:
        rows = db.query(
            f"SELECT {HOLE_COLUMNS} WHERE h.commit_oid = ? ORDER BY h.path, h.start_byte", (oid,)
        )
        found.extend(map(read_hole, rows))
    return found


def corpus_counts(db: Database) -> dict[str, int]:
    """Numbers of mined commits, holes, and authors of holes."""
    return {
        "commits": db.scalar("SELECT count(*) FROM commits"),
        "holes": db.scalar("SELECT count(*) FROM holes"),
        "authors": db.scalar(
            "SELECT count(DISTINCT c.author) FROM holes h JOIN commits c ON c.oid = h.commit_oid"
        ),
    }
