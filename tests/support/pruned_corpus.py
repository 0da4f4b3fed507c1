"""The corpus of a repository whose history is rewritten."""

from __future__ import annotations

from pathlib import Path

from git_copilot.index.corpus.mining import mine
from git_copilot.index.corpus.prune import prune_lost
from git_copilot.index.corpus.survival import update_survival
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from tests.support.gitrepo import GitRepo

BODY = (
    "def area_{0}(width, height):\n    total = width * height + {0}\n    return total - {0}\n\n\n"
)


def code(count: int, mark: str = "") -> str:
    return "".join(BODY.format(f"{mark}{i}") for i in range(count))


class Corpus:
    """Does what the worker does after each event, with a database of its own."""

    def __init__(self, repo: GitRepo, path: Path) -> None:
        self.git = GitRepository.discover(repo.path)
        self.db = Database(path, create=True)

    def refresh(self) -> int:
        """Prune, mine and update survival; returns how many commits were pruned."""
        dropped = prune_lost(self.git, self.db)
        mine(self.git, self.db)
        update_survival(self.git, self.db)
        return dropped

    def look_at_all(self) -> int:
        """Prune as if the previous state of the refs was unknown."""
        with self.db.transaction() as connection:
            connection.execute("DELETE FROM meta WHERE key = 'pruned_refs'")
        return prune_lost(self.git, self.db)

    def commits(self) -> set[str]:
        return {str(oid) for (oid,) in self.db.query("SELECT oid FROM commits")}

    def holes(self) -> list[tuple[object, ...]]:
        return self.db.query(
            "SELECT h.commit_oid, h.path, h.start_byte, h.end_byte, s.stands, s.died_commit,"
            " s.places FROM holes h LEFT JOIN survival s ON s.hole_id = h.id ORDER BY 1, 2, 3, 4"
        )

    def lost(self) -> list[str]:
        """Commits and blobs of holes that are not in the object database."""
        rows = self.db.query("SELECT commit_oid FROM holes UNION SELECT blob FROM holes")
        wanted = [str(oid) for (oid,) in rows]
        return sorted(set(wanted) - self.git.blob_sizes(wanted).keys())
