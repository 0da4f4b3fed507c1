"""Git operations that move HEAD, files, worktrees and submodules, and some that move nothing."""

from __future__ import annotations

from collections.abc import Callable

from git_copilot.index.git.repository import GitRepository
from tests.support.gitrepo import GitRepo
from tests.support.history_operations import commit
from tests.support.index_assertions import run_jobs
from tests.support.operations_repo import CHECKOUT, COMMIT, OperationsRepo

ALLOW = ("-c", "protocol.file.allow=always")


def switch(d):
    d.git("switch", "-q", "side")


def switch_and_back(d):
    d.git("switch", "-q", "side")
    d.git("switch", "-q", "-")


def checkout_path(d):
    d.git("checkout", "-q", "side", "--", "src/side.py")


def restore(d):
    d.git("restore", "--source", "side", "--staged", "--worktree", "src/side.py")


def reset_hard(d):
    d.git("reset", "-q", "--hard", "HEAD~1")


def reset_and_prune(d):
    """The tree that was indexed is deleted from the object database."""
    d.commit({"src/gone.py": "def gone(alpha):\n    return alpha\n"})
    run_jobs(GitRepository.discover(d.repo.path))
    d.git("reset", "-q", "--hard", "HEAD~2")
    d.git("reflog", "expire", "--expire=now", "--all")
    d.git("branch", "-q", "-D", "ahead")
    d.git("gc", "-q", "--prune=now")


def worktree_add(d):
    d.worktree("side")


def worktree_commit(d):
    tree = d.worktree("-b", "third", "main")
    tree.commit({"src/third.py": "def third(value):\n    return value\n"})


def worktree_without_checkout(d):
    d.worktree("--no-checkout", "side")


def worktree_remove(d):
    tree = d.worktree("side")
    run_jobs(GitRepository.discover(d.repo.path))
    d.git("worktree", "remove", str(tree.path))
    d.made.clear()
    commit(d)


def worktree_move(d):
    tree = d.worktree("side")
    d.git("worktree", "move", str(tree.path), str(d.folder / "elsewhere"))
    GitRepo(d.folder / "elsewhere").commit({"src/moved.py": "moved = alpha\n"})


def submodule_add(d):
    inner = GitRepo.init(d.folder / "inner")
    inner.commit({"inner.py": "def inner(value):\n    return value\n"})
    d.git(*ALLOW, "submodule", "--quiet", "add", str(inner.path), "sub mödule")
    d.commit({"src/uses.py": "import inner\n"})


def submodule_bump(d):
    submodule_add(d)
    sub = GitRepo(d.repo.path / "sub mödule")
    sub.commit({"inner.py": "inner = alpha\n"})
    d.commit({})


def detached(d):
    d.git("switch", "-q", "--detach", "side")
    commit(d)


def orphan(d):
    d.git("switch", "-q", "--orphan", "empty")


def orphan_commit(d):
    orphan(d)
    d.commit({"first.py": "alpha = 1\n"})


def filter_branch(d):
    d.git(
        "filter-branch", "-f", "--tree-filter", "rm -f src/app.py", "--", "main",
        FILTER_BRANCH_SQUELCH_WARNING="1",
    )  # fmt: skip


def update_ref(d):
    tree = d.git("rev-parse", "side^{tree}")
    d.git("update-ref", "HEAD", d.git("commit-tree", "-p", "HEAD", "-m", "x", tree))


def symbolic_ref(d):
    d.git("symbolic-ref", "HEAD", "refs/heads/side")


def bisect(d):
    d.git("bisect", "start", "ahead", "side~1")


def sparse_checkout(d):
    d.git("sparse-checkout", "set", "--no-cone", "/README.md")


def nothing_moves(d):
    d.git("tag", "v1")
    d.git("branch", "-f", "side", "main")
    d.git("notes", "add", "-m", "note")
    d.edit("src/app.py", "uncommitted\n")


# Operation to the events that git tells of it; the same in git 2.39 and 2.55.
PLACES: list[tuple[Callable[[OperationsRepo], None], list[str]]] = [
    (switch, [CHECKOUT]),
    (switch_and_back, [CHECKOUT, CHECKOUT]),
    (checkout_path, []),
    (restore, []),
    (reset_hard, []),
    (reset_and_prune, []),
    (worktree_add, [CHECKOUT]),
    (worktree_commit, [CHECKOUT, COMMIT]),
    (worktree_without_checkout, []),
    (worktree_remove, [COMMIT]),
    (worktree_move, [CHECKOUT, COMMIT]),
    (submodule_add, [COMMIT]),
    (submodule_bump, [COMMIT, COMMIT]),
    (detached, [CHECKOUT, COMMIT]),
    (orphan, [CHECKOUT]),
    (orphan_commit, [CHECKOUT, COMMIT]),
    (filter_branch, []),
    (update_ref, []),
    (symbolic_ref, []),
    (bisect, [CHECKOUT]),
    (sparse_checkout, []),
    (nothing_moves, []),
]
