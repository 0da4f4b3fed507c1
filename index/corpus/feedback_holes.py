"""Turns feedback into holes when a commit shows the final text of a completion.

git is read first, without a lock; the result is stored together with the commit's own holes in one
transaction.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus import feedback_store
from git_copilot.index.corpus.cuts import MAX_BLOCK_TOKENS, Span, is_worth_completing
from git_copilot.index.corpus.harvest import hole_at, skip_blob, skip_file, spans_without_secrets
from git_copilot.index.corpus.outcome import BlobLines, find_outcome
from git_copilot.index.corpus.retained_text import retained_characters
from git_copilot.index.corpus.retention import settle
from git_copilot.index.filters import rules
from git_copilot.index.git.history import CommitInfo, FileAdditions, FilePatch, patches
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from git_copilot.index.text.classify import MAX_FILE_BYTES, language_of

KIND = "completion"
# After this number of commits to its file without it, a completion was never committed.
MAX_TRIES = 10


@dataclass(slots=True)
class PendingReport:
    """A reported completion while commits are searched for it: its current path, the number of
    commits that did not contain it, and its hole, or whether it is given up (``abandoned``).
    ``committed`` of its accepted characters are in the last commit that was searched."""

    reported: feedback_store.ReportedCompletion
    path: str
    tries: int
    hole: Hole | None = None
    final: str | None = None
    abandoned: bool = False
    committed: int | None = None

    @property
    def is_open(self) -> bool:
        return self.hole is None and not self.abandoned

    @property
    def is_changed(self) -> bool:
        known = self.reported
        now = self.path, self.tries, self.committed
        return not self.is_open or now != (known.shown.path, known.tries, known.committed)


@dataclass(slots=True)
class _File:
    """A file as a commit left it, read on the first search for a completion in it."""

    repo: GitRepository
    patch: FilePatch
    _text: BlobLines | None = None
    _read: bool = False

    @property
    def text(self) -> BlobLines | None:
        """``None`` if no holes are taken from such a file."""
        if not self._read:
            self._read = True
            self._text = _read_text(self.repo, self.patch.additions)
        return self._text


def resolve(
    repo: GitRepository, db: Database, commits: Sequence[CommitInfo], mined: Collection[str]
) -> list[PendingReport]:
    """Search commits for the completions with reported outcomes. Writes nothing.

    A completion is searched for in commits that were made after it was shown. If its commit is no
    longer in HEAD's history (amended, rebased, squashed), it is searched for again.

    :param commits: newest first.
    :param mined: those of them that holes may be taken from; the others only move files.
    :return: reports for :func:`store_resolved`.
    """
    known = feedback_store.reported_since(db, int(time.time()) - feedback_store.KEEP_SECONDS)
    if not known:
        return []
    try:
        return _resolve(repo, known, commits, mined)
    except GitError:  # a partial clone lacks blobs; the reports keep waiting
        return []


def store_resolved(connection: sqlite3.Connection, cases: Sequence[PendingReport]) -> None:
    """Store the result of :func:`resolve`, after the commits themselves."""
    for case in cases:
        if not case.is_changed:
            continue
        name, old = case.reported.shown.id, case.reported.hole_id
        if case.committed is not None:
            settle(connection, name, case.reported.taken, case.committed, last=case.abandoned)
        new = None
        if case.hole is not None:
            new = _store(connection, case.hole)
            connection.execute(
                "UPDATE feedback SET hole_id = ?, final = ?, path = ?, tries = ? WHERE id = ?",
                (new, case.final, os.fsencode(case.path), case.tries, name),
            )
        elif case.abandoned:
            connection.execute("DELETE FROM feedback WHERE id = ?", (name,))
        else:
            connection.execute(
                "UPDATE feedback SET path = ?, tries = ? WHERE id = ?",
                (os.fsencode(case.path), case.tries, name),
            )
        if not case.is_open and old is not None and old != new:
            connection.execute("DELETE FROM holes WHERE id = ?", (old,))


def _resolve(
    repo: GitRepository,
    known: Sequence[feedback_store.ReportedCompletion],
    commits: Sequence[CommitInfo],
    mined: Collection[str],
) -> list[PendingReport]:
    times = _commit_times(repo, [c.oid for c in commits])
    since = min(r.shown.time for r in known)
    recent = {c.oid: c for c in reversed(commits) if times.get(c.oid, 0) >= since}
    if not recent:
        return []
    lost = _left_history(repo, {r.commit for r in known if r.commit is not None})
    cases = [
        PendingReport(r, r.shown.path, r.tries, committed=r.committed)
        for r in known
        if r.hole_id is None or r.commit in lost
    ]
    for oid, found in patches(repo, list(recent), "-M"):
        files = {patch.old_path: _File(repo, patch) for patch in found}
        for case in cases:
            file = files.get(case.path)
            if file is None or not case.is_open or times[oid] < case.reported.shown.time:
                continue
            if not file.patch.deleted:
                case.path = file.patch.path
            if oid in mined:
                _search_file(case, file, recent[oid])
    return cases


def _search_file(case: PendingReport, file: _File, commit: CommitInfo) -> None:
    """Search for a completion in a file that a commit wrote."""
    known, text = case.reported, file.text
    became = None
    if text is not None:
        became = find_outcome(
            text,
            file.patch.additions.runs,
            known.shown.cursor,
            known.shown.completion,
            accepted=known.outcome == "accepted",
            final=known.final,
        )
    if text is None or became is None:
        case.committed = case.committed if text is None else 0
        if known.hole_id is None:
            case.tries += 1
            case.abandoned = case.tries >= MAX_TRIES
        return
    middle = text.data[became.start : became.end].decode("utf-8")
    accepted = known.shown.completion[: known.taken]
    case.committed = retained_characters(accepted, middle) if became.changed else known.taken
    language = language_of(file.patch.path)
    span = Span(became.start, became.end, KIND)
    # Unlike in random holes, a single word is allowed here: the user did complete it.
    fair = is_worth_completing(middle, 1, MAX_BLOCK_TOKENS)
    if not fair or not spans_without_secrets(text.data, [span], language):
        case.abandoned = True
        return
    case.final = middle.replace("\r\n", "\n") if became.changed else None
    case.hole = hole_at(commit, file.patch.additions, language, span)


def _read_text(repo: GitRepository, file: FileAdditions) -> BlobLines | None:
    out = rules.exclusion_reasons(repo, repo.head_tree_or_empty(), [file.path])
    if skip_file(file, out) is not None:
        return None
    if repo.blob_sizes([file.blob]).get(file.blob, MAX_FILE_BYTES + 1) > MAX_FILE_BYTES:
        return None
    data = repo.read_blob(file.blob)
    try:
        return BlobLines(data) if skip_blob(data) is None else None
    except UnicodeDecodeError:
        return None


def _store(connection: sqlite3.Connection, hole: Hole) -> int:
    """Store a hole and return its id; a random hole at the same place is replaced."""
    place = hole.commit, os.fsencode(hole.path), hole.start, hole.end
    connection.execute(
        "INSERT INTO holes (commit_oid, path, start_byte, end_byte, blob, language, kind)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (commit_oid, path, start_byte, end_byte) DO UPDATE SET kind = excluded.kind",
        (*place, hole.blob, hole.language, hole.kind),
    )
    row = connection.execute(
        "SELECT id FROM holes"
        " WHERE commit_oid = ? AND path = ? AND start_byte = ? AND end_byte = ?",
        place,
    ).fetchone()
    return int(row[0])


def _commit_times(repo: GitRepository, oids: Sequence[str]) -> dict[str, int]:
    """Commit times in seconds since 1970; the author time would not change when amending."""
    feed = "".join(f"{oid}\n" for oid in oids).encode()
    args = ("log", "--no-show-signature", "--no-walk=unsorted", "--format=%H %ct", "--stdin")
    rows = (line.split() for line in repo.run(*args, stdin=feed).decode().splitlines())
    return {oid: int(seconds) for oid, seconds in rows}


def _left_history(repo: GitRepository, oids: Collection[str]) -> set[str]:
    """Those of ``oids`` that are no longer in HEAD's history."""
    here = repo.blob_sizes(oids).keys()
    gone = set(oids) - here
    if here:
        feed = "".join(f"{oid}\n" for oid in here) + "^HEAD\n"
        gone |= set(repo.run("rev-list", "--stdin", stdin=feed.encode()).decode().split())
    return gone & set(oids)
