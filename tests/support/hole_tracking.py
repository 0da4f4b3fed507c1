"""Holes placed by a test, and their fate."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from git_copilot.index.corpus.survival import Survival, load_survival, update_survival
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from tests.support.gitrepo import GitRepo


def numbered_lines(numbers: Iterable[int]) -> str:
    return "".join(f"line {i}\n" for i in numbers)


class HoleTracker:
    """A repository with a corpus whose holes the test places by hand."""

    def __init__(self, repo: GitRepo, db: Database) -> None:
        self.repo = repo
        self.db = db

    def add_hole(self, path: str, text: str, revision: str = "HEAD") -> int:
        """Add a hole at ``text`` in a file of a commit; returns its id."""
        git = GitRepository.discover(self.repo.path)
        commit = git.resolve(f"{revision}^{{commit}}")
        entry = git.entry(str(commit), path)
        assert entry is not None
        start = git.read_blob(entry.oid).index(text.encode())
        time = int(git.run("log", "-1", "--format=%at", str(commit)))
        with self.db.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO commits VALUES (?, 'Ada', ?, 'mined', NULL)", (commit, time)
            )
            cursor = connection.execute(
                "INSERT INTO holes (commit_oid, blob, path, language, start_byte, end_byte, kind)"
                " VALUES (?, ?, ?, 'python', ?, ?, 'line')",
                (commit, entry.oid, os.fsencode(path), start, start + len(text.encode())),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def update(self, **options) -> bool:
        return update_survival(GitRepository.discover(self.repo.path), self.db, **options)

    def fate(self, hole: int) -> Survival | None:
        """The survival of a hole at the current HEAD, or ``None`` if it is not known."""
        self.update()
        return load_survival(self.db, [hole]).get(hole)

    def places(self, hole: int) -> dict[str, list[int]]:
        self.update()
        rows = self.db.query("SELECT places FROM survival WHERE hole_id = ?", (hole,))
        found: dict[str, list[int]] = json.loads(str(rows[0][0]))
        return found

    def rows(self) -> list[tuple[object, ...]]:
        return self.db.query("SELECT * FROM survival ORDER BY hole_id")

    def forget_level(self) -> None:
        """Make the next update a full pass over history."""
        with self.db.transaction() as connection:
            connection.execute("DELETE FROM meta WHERE key LIKE 'survival%'")
