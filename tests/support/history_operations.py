"""Git operations that write history: commits, merges, rebases, cherry-picks, stashes."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.support.operations_repo import (
    APP,
    CHECKOUT,
    COMMIT,
    MERGE,
    REWRITE,
    SIDE,
    UTIL,
    OperationsRepo,
)


def commit(d):
    d.commit({"src/new.py": "def new(alpha):\n    return alpha\n"})


def commit_all(d):
    d.edit("src/app.py", APP + "\nBETA = 1\n")
    d.git("commit", "-q", "-a", "-m", "x")


def commit_one_file(d):
    d.edit("src/app.py", APP + "\nBETA = 1\n")
    d.edit("src/util.py", "value = 0\n")
    d.git("add", "src/util.py")
    d.git("commit", "-q", "-m", "x", "src/app.py")


def commit_in_a_subfolder_with_a_foreign_index(d):
    d.edit("src/new.py", "def new(alpha):\n    return alpha\n")
    index = str(d.folder / "other index")
    shutil.copy(d.repo.git_dir / "index", index)
    d.git("-C", "src", "add", "new.py", GIT_INDEX_FILE=index)
    d.git("-C", "src", "commit", "-q", "-m", "x", GIT_INDEX_FILE=index)


def commit_with_explicit_folders(d):
    d.edit("src/app.py", "x = 1\n")
    d.git("--git-dir=.git", "--work-tree=.", "commit", "-q", "-a", "-m", "x")


def amend(d):
    d.edit("src/app.py", "import util\n")
    d.git("commit", "-q", "-a", "--amend", "-m", "again")


def kinds_of_files(d):
    d.commit({"bin": b"\0\1", "a\nb ü.py": "def odd(value):\n    return value\n", "old.py": SIDE})
    (d.repo.path / "link.py").symlink_to("src/util.py")
    (d.repo.path / "README.md").chmod(0o755)
    shutil.rmtree(d.repo.path / "src")
    d.commit({"src": "a file where a folder was\n"})
    (d.repo.path / "src").unlink()
    d.git("mv", "old.py", "new.py")
    d.commit({"src/util.py": UTIL, "util as text.txt": UTIL})


def fast_forward(d):
    d.git("reset", "-q", "--hard", "HEAD~1")
    d.git("merge", "-q", "--ff-only", "ahead")


def true_merge(d):
    d.commit({"src/mine.py": "mine = 1\n"})
    d.git("merge", "-q", "--no-ff", "-m", "m", "side")


def octopus(d):
    d.git("branch", "third", "side~1")
    d.git("switch", "-q", "third")
    d.commit({"third.py": "third = 3\n"})
    d.git("switch", "-q", "main")
    d.commit({"src/mine.py": "mine = 1\n"})
    d.git("merge", "-q", "-m", "m", "side", "third")


def squash(d):
    d.git("merge", "-q", "--squash", "side")
    d.git("commit", "-q", "-m", "squashed")


def conflicted_merge(d):
    d.rival()
    d.conflict("merge", "-q", "side")
    d.git("commit", "-q", "-m", "merged")


def aborted_merge(d):
    d.rival()
    d.git("merge", "-q", "side", check=False)
    d.git("merge", "--abort")


def pull(d):
    d.upstream()
    d.git("pull", "-q", "--ff-only")


def pull_rebase(d):
    d.upstream()
    d.commit({"src/mine.py": "mine = 1\n"})
    d.git("pull", "-q", "--rebase")


def fetch_and_reset(d):
    d.upstream()
    d.git("fetch", "-q")
    d.git("reset", "-q", "--hard", "origin/main")


def rebase_interactive(d):
    for number in range(5):
        d.commit({f"src/n{number}.py": f"def n{number}(value):\n    return {number}\n"})
    todo = "sed -i -e '1s/pick/drop/' -e '2{h;d}' -e '3{p;x}' -e '5s/pick/fixup/'"
    d.git("rebase", "-q", "-i", "HEAD~5", GIT_SEQUENCE_EDITOR=todo)


def rebase_with_conflict(d):
    d.rival()
    d.git("switch", "-q", "side")
    d.conflict("rebase", "-q", "main")
    d.git("rebase", "--continue", GIT_EDITOR="true")


def aborted_rebase(d):
    d.rival()
    d.git("switch", "-q", "side")
    d.git("rebase", "-q", "main", check=False)
    d.git("rebase", "--abort")


def rebase_apply(d):
    d.commit({"src/mine.py": "mine = 1\n"})
    d.git("rebase", "-q", "--apply", "side")


def cherry_pick(d):
    d.git("cherry-pick", "side~1", "side")


def cherry_pick_with_conflict(d):
    d.rival()
    d.conflict("cherry-pick", "side")
    d.git("cherry-pick", "--continue", GIT_EDITOR="true")


def revert(d):
    d.git("revert", "--no-edit", "HEAD")


def am(d):
    patch = d.git("format-patch", "--stdout", "side~2..side")
    d.git("am", "-q", stdin=patch + "\n")


def stash(d):
    d.edit("src/app.py", "x = 1\n")
    d.git("stash", "-q")


def stash_pop(d):
    stash(d)
    d.git("stash", "pop", "-q")


def stash_branch(d):
    stash(d)
    d.git("stash", "branch", "kept")


def no_verify(d):
    hook = d.repo.git_dir / "hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    d.edit("src/app.py", "x = 1\n")
    d.git("commit", "-q", "-a", "--no-verify", "-m", "x")


# Operation to the events that git tells of it; the same in git 2.39 and 2.55.
HISTORY: list[tuple[Callable[[OperationsRepo], None], list[str]]] = [
    (commit, [COMMIT]),
    (commit_all, [COMMIT]),
    (commit_one_file, [COMMIT]),
    (commit_in_a_subfolder_with_a_foreign_index, [COMMIT]),
    (commit_with_explicit_folders, [COMMIT]),
    (amend, [COMMIT, REWRITE]),
    (kinds_of_files, [COMMIT] * 3),
    (no_verify, [COMMIT]),
    (fast_forward, [MERGE]),
    (true_merge, [COMMIT, MERGE]),
    (octopus, [CHECKOUT, COMMIT, CHECKOUT, COMMIT, MERGE]),
    (squash, [MERGE, COMMIT]),
    (conflicted_merge, [COMMIT, CHECKOUT, COMMIT, CHECKOUT, COMMIT]),
    (aborted_merge, [COMMIT, CHECKOUT, COMMIT, CHECKOUT]),
    (pull, [MERGE]),
    (pull_rebase, [COMMIT, CHECKOUT, COMMIT, REWRITE]),
    (fetch_and_reset, []),
    (rebase_interactive, [COMMIT] * 5 + [CHECKOUT] + [COMMIT] * 4 + [REWRITE] * 2),
    (rebase_with_conflict, [COMMIT, CHECKOUT] * 2 + [CHECKOUT] * 2 + [COMMIT] * 3 + [REWRITE]),
    (aborted_rebase, [COMMIT, CHECKOUT] * 2 + [CHECKOUT] * 2 + [COMMIT] * 2),
    (rebase_apply, [COMMIT, CHECKOUT, REWRITE]),
    (cherry_pick, [COMMIT, COMMIT]),
    (cherry_pick_with_conflict, [COMMIT, CHECKOUT] * 2 + [COMMIT]),
    (revert, [COMMIT]),
    (am, []),
    (stash, []),
    (stash_pop, []),
    (stash_branch, [CHECKOUT]),
]
