"""A repository with hooks and an index, to run git operations in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from git_copilot.assistant.api.status import QueueStatus
from git_copilot.assistant.diagnostics.status import read_status, wait_until_done
from git_copilot.index.git.repository import GitRepository
from tests.support.gitrepo import GitRepo
from tests.support.index_assertions import assert_index_is_current, run_jobs

UTIL = "def alpha(value):\n    return value + 1\n\n\ndef gamma(name):\n    return name\n"
APP = "from util import alpha\n\n\nclass App:\n    def helper(self):\n        return alpha(2)\n"
SIDE = "import util\n\n\ndef side(name):\n    return util.gamma(name)\n"
COMMIT, MERGE, CHECKOUT, REWRITE = "post-commit", "post-merge", "post-checkout", "post-rewrite"


@dataclass
class OperationsRepo:
    """A repository with two branches, hooks and an index, to run git operations in."""

    repo: GitRepo
    folder: Path
    made: list[GitRepo] = field(default_factory=list)

    def git(self, *args: str, **more: str) -> str:
        return self.repo.git(*args, **more)

    def commit(self, files: dict[str, str | bytes], message: str = "change") -> str:
        return self.repo.commit(files, message)

    def edit(self, name: str, text: str) -> None:
        """Change a file without committing it."""
        self.repo.write({name: text})

    def conflict(self, *command: str) -> None:
        """Run a command that stops with a conflict in src/util.py, and resolve it."""
        assert self.repo.git(*command, check=False) is not None
        assert self.git("ls-files", "--unmerged")
        self.edit("src/util.py", UTIL + "\n\nRESOLVED = alpha\n")
        self.git("add", "src/util.py")

    def rival(self) -> None:
        """Commit a different change of the same line on each branch."""
        self.commit({"src/util.py": UTIL.replace("+ 1", "+ 2")}, "two")
        self.git("switch", "-q", "side")
        self.commit({"src/util.py": UTIL.replace("+ 1", "+ 3")}, "three")
        self.git("switch", "-q", "main")

    def upstream(self) -> GitRepo:
        """A clone with one more commit, configured as the upstream of this repository."""
        path = self.folder / "upstream"
        self.git("clone", "-q", "--no-local", ".", str(path))
        self.git("remote", "add", "origin", str(path))
        self.git("fetch", "-q", "origin")
        self.git("branch", "-q", "--set-upstream-to=origin/main", "main")
        other = GitRepo(path)
        other.commit({"src/theirs.py": "def theirs(value):\n    return value\n"}, "theirs")
        return other

    def worktree(self, *args: str, name: str = "second trée") -> GitRepo:
        tree = GitRepo(self.folder / name)
        self.git("worktree", "add", "-q", *args[:-1], str(tree.path), args[-1])
        self.made.append(tree)
        return tree


def check(operations: OperationsRepo) -> None:
    """Once the worker is done, the index is current in every worktree, as `status --wait` says."""
    run_jobs(GitRepository.discover(operations.repo.path))
    for tree in (operations.repo, *operations.made):
        if tree.path.exists():
            repo = GitRepository.discover(tree.path)
            wait_until_done(repo, 30)
            status = read_status(repo)
            assert status.index.fresh is True
            assert status.queue == QueueStatus(pending=0, running=None, set_aside=())
            assert status.index.chunks == status.index.vectors
    assert_index_is_current(GitRepository.discover(operations.repo.path))
