"""Every git operation: afterwards the index is what one built from nothing would be."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from copilot_commands import BIN, Copilot
from gitrepo import GitRepo
from level import assert_level, know, work

from git_copilot.assistant.status import read_status, wait_until_done
from git_copilot.hooks import spool as spool_module
from git_copilot.hooks.events import decode_all
from git_copilot.hooks.install import install
from git_copilot.hooks.spool import Spool
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.git import GitRepository

UTIL = "def alpha(value):\n    return value + 1\n\n\ndef gamma(name):\n    return name\n"
APP = "from util import alpha\n\n\nclass App:\n    def helper(self):\n        return alpha(2)\n"
SIDE = "import util\n\n\ndef side(name):\n    return util.gamma(name)\n"
ALLOW = ("-c", "protocol.file.allow=always")


@dataclass
class Desk:
    """A repository with two branches, hooks, an index, and everything an operation needs."""

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
        """Run what stops with a conflict in src/util.py, and resolve it."""
        assert self.repo.git(*command, check=False) is not None
        assert self.git("ls-files", "--unmerged")
        self.edit("src/util.py", UTIL + "\n\nRESOLVED = alpha\n")
        self.git("add", "src/util.py")

    def rival(self) -> None:
        """Both branches change the same line."""
        self.commit({"src/util.py": UTIL.replace("+ 1", "+ 2")}, "two")
        self.git("switch", "-q", "side")
        self.commit({"src/util.py": UTIL.replace("+ 1", "+ 3")}, "three")
        self.git("switch", "-q", "main")

    def upstream(self) -> GitRepo:
        """A clone that this repository can pull from, with a commit more."""
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
    """The tree that the index stood for is gone."""
    d.commit({"src/gone.py": "def gone(alpha):\n    return alpha\n"})
    work(GitRepository.discover(d.repo.path))
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
    work(GitRepository.discover(d.repo.path))
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


def no_verify(d):
    hook = d.repo.git_dir / "hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    d.edit("src/app.py", "x = 1\n")
    d.git("commit", "-q", "-a", "--no-verify", "-m", "x")


def nothing_moves(d):
    d.git("tag", "v1")
    d.git("branch", "-f", "side", "main")
    d.git("notes", "add", "-m", "note")
    d.edit("src/app.py", "uncommitted\n")


COMMIT, MERGE, CHECKOUT, REWRITE = "post-commit", "post-merge", "post-checkout", "post-rewrite"

# Operation to the events that git tells of it; the same in git 2.39 and 2.55.
TABLE: list[tuple[Callable[[Desk], None], list[str]]] = [
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


@pytest.fixture(scope="session")
def history(tmp_path_factory):
    """A repository to copy: building it anew for every operation would be most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
            patch.setenv(name, "Ada Author")
        for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
            patch.setenv(name, "ada@example.org")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        repo = GitRepo.init(tmp_path_factory.mktemp("history"), "-b", "main")
        repo.commit({"src/util.py": UTIL, "README.md": "# a value\n"}, "first")
        repo.git("switch", "-q", "-c", "side")
        repo.commit({"src/side.py": SIDE}, "side")
        repo.commit({"src/side.py": SIDE + "\n\nNAME = side\n"}, "side again")
        repo.git("switch", "-q", "main")
        repo.commit({"src/app.py": APP}, "app")
        repo.commit({"src/app.py": APP + "\n\nhelper = App().helper\n"}, "ahead")
        repo.git("branch", "ahead")
    return repo.path


@pytest.fixture
def make_desk(history, tiny_embedder, tmp_path):
    def make(interpreter: str) -> Desk:
        path = tmp_path / "wörk tree"
        shutil.copytree(history, path, symlinks=True)
        repo = GitRepo(path)
        repo._clock += 600
        found = GitRepository.discover(path)
        install(found, interpreter)
        know(found)
        return Desk(repo, tmp_path)

    return make


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """An interpreter that runs nothing, so that events wait for the test; and as no shim writes
    while the test drains, nothing waits for one."""
    monkeypatch.setattr(spool_module, "TAIL_GRACE_S", 0.0)
    script = tmp_path / "no python"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return str(script)


def check(desk: Desk) -> None:
    """Once the worker is done: fresh in every worktree, by the words of `status --wait`, and
    level."""
    work(GitRepository.discover(desk.repo.path))
    for tree in (desk.repo, *desk.made):
        if tree.path.exists():
            repo = GitRepository.discover(tree.path)
            wait_until_done(repo, 30)
            status = read_status(repo)
            assert status["index"]["fresh"] is True
            assert status["queue"] == {"pending": 0, "running": None, "set_aside": []}
            assert status["index"]["chunks"] == status["index"]["vectors"]
    assert_level(GitRepository.discover(desk.repo.path))


@pytest.mark.parametrize(("operate", "events"), TABLE, ids=lambda x: getattr(x, "__name__", ""))
def test_after_any_operation_the_index_is_as_if_built_from_nothing(
    make_desk, idle, operate, events
):
    desk = make_desk(idle)
    found = GitRepository.discover(desk.repo.path)
    heard = Spool(found.state_dir)
    operate(desk)
    spooled = found.state_dir / "spool/events"
    told = decode_all(spooled.read_bytes(), str(found.common_dir))[0] if spooled.exists() else []
    if operate not in (worktree_remove, reset_and_prune):  # these let the worker run meanwhile
        assert [event.kind for event in told] == events
    work(found)
    assert heard.pending() == 0
    if events:
        # What hooks told of, the worker did: nobody has asked for anything yet.
        with Database(found.state_dir / DATABASE_NAME) as db:
            trees = dict(db.query("SELECT name, tree FROM views"))
            mined = {oid for (oid,) in db.query("SELECT oid FROM commits")}
        for tree in (desk.repo, *desk.made):
            if tree.path.exists() and "reset" not in operate.__name__:
                view = GitRepository.discover(tree.path)
                assert trees[view.view_name] == view.shown_tree()
        head = found.head_commit()
        assert head is None or set(desk.git("rev-list", "HEAD").split()) <= mined
    check(desk)


@pytest.mark.parametrize(
    "operate", [commit, rebase_interactive, true_merge, worktree_commit, filter_branch, pull_rebase]
)
def test_a_real_worker_and_the_command_agree(make_desk, monkeypatch, operate):
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    desk = make_desk(sys.executable)
    operate(desk)
    for tree in (desk.repo, *desk.made):
        status = Copilot(tree.path).json("status", "--wait", "--timeout", "60")
        assert status["index"]["fresh"] is True
        assert status["index"]["tree"] == tree.git("rev-parse", "HEAD^{tree}")
        assert status["queue"]["set_aside"] == []
    assert_level(GitRepository.discover(desk.repo.path))


def test_a_repository_of_sha256_objects(tiny_embedder, idle, tmp_path):
    repo = GitRepo.init(tmp_path / "sha256", "--object-format=sha256")
    install(GitRepository.discover(repo.path), idle)
    repo.commit({"src/util.py": UTIL})
    repo.commit({"src/app.py": APP})
    work(GitRepository.discover(repo.path))
    check(Desk(repo, tmp_path))
    repo.git("switch", "-q", "--orphan", "empty")
    check(Desk(repo, tmp_path))


def test_a_submodule_has_an_index_of_its_own(make_desk, idle):
    desk = make_desk(idle)
    submodule_add(desk)
    sub = GitRepo(desk.repo.path / "sub mödule")
    found = GitRepository.discover(sub.path)
    install(found, idle)
    sub.commit({"deep/er.py": "def deeper(value):\n    return value\n"})
    work(found)
    check(Desk(sub, desk.folder))
    check(desk)


def test_a_bare_repository_follows_pushes_without_any_hook(make_desk, idle, tmp_path):
    desk = make_desk(idle)
    bare = GitRepo(tmp_path / "shared ü.git")
    desk.git("clone", "-q", "--bare", ".", str(bare.path))
    found = GitRepository.discover(bare.path)
    install(found, idle)
    know(found)
    check(Desk(bare, tmp_path))
    commit(desk)
    desk.git("push", "-q", str(bare.path), "main")
    check(Desk(bare, tmp_path))
