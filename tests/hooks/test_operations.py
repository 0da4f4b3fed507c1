"""After every git operation the index equals one built from scratch."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from git_copilot.hooks import spool as spool_module
from git_copilot.hooks.events import decode_all
from git_copilot.hooks.install import install
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.commands import BIN, Copilot
from tests.support.gitrepo import GitRepo
from tests.support.history_operations import (
    HISTORY,
    commit,
    pull_rebase,
    rebase_interactive,
    true_merge,
)
from tests.support.index_assertions import assert_index_is_current, index_repository, run_jobs
from tests.support.operations_repo import APP, SIDE, UTIL, OperationsRepo, check
from tests.support.tree_operations import (
    PLACES,
    filter_branch,
    reset_and_prune,
    submodule_add,
    worktree_commit,
    worktree_remove,
)

pytestmark = pytest.mark.e2e


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
def make_operations_repo(history, tiny_embedder, tmp_path):
    def make(interpreter: str) -> OperationsRepo:
        path = tmp_path / "wörk tree"
        shutil.copytree(history, path, symlinks=True)
        repo = GitRepo(path)
        repo._clock += 600
        found = GitRepository.discover(path)
        install(found, interpreter)
        index_repository(found)
        return OperationsRepo(repo, tmp_path)

    return make


@pytest.fixture
def idle_interpreter(tmp_path, monkeypatch):
    """An interpreter that runs nothing, so that events wait for the test; and as no shim writes
    while the test drains, nothing waits for one."""
    monkeypatch.setattr(spool_module, "TAIL_GRACE_S", 0.0)
    script = tmp_path / "no python"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return str(script)


TABLE = [*HISTORY, *PLACES]


@pytest.mark.parametrize(("operate", "events"), TABLE, ids=lambda x: getattr(x, "__name__", ""))
def test_after_any_operation_the_index_is_as_if_built_from_nothing(
    make_operations_repo, idle_interpreter, operate, events
):
    operations = make_operations_repo(idle_interpreter)
    found = GitRepository.discover(operations.repo.path)
    heard = Spool(found.state_dir)
    operate(operations)
    spooled = found.state_dir / "spool/events"
    told = decode_all(spooled.read_bytes(), str(found.common_dir))[0] if spooled.exists() else []
    if operate not in (worktree_remove, reset_and_prune):  # these let the worker run meanwhile
        assert [event.kind for event in told] == events
    run_jobs(found)
    assert heard.pending() == 0
    if events:
        # What hooks told of, the worker did: nobody has asked for anything yet.
        with Database(found.state_dir / DATABASE_NAME) as db:
            trees = dict(db.query("SELECT name, tree FROM views"))
            mined = {oid for (oid,) in db.query("SELECT oid FROM commits")}
        for tree in (operations.repo, *operations.made):
            if tree.path.exists() and "reset" not in operate.__name__:
                view = GitRepository.discover(tree.path)
                assert trees[view.view_name] == view.head_tree_or_empty()
        head = found.head_commit()
        assert head is None or set(operations.git("rev-list", "HEAD").split()) <= mined
    check(operations)


@pytest.mark.parametrize(
    "operate", [commit, rebase_interactive, true_merge, worktree_commit, filter_branch, pull_rebase]
)
def test_the_worker_and_the_index_command_build_the_same_index(
    make_operations_repo, monkeypatch, operate
):
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    operations = make_operations_repo(sys.executable)
    operate(operations)
    for tree in (operations.repo, *operations.made):
        status = Copilot(tree.path).json("status", "--wait", "--timeout", "60")
        assert status["index"]["fresh"] is True
        assert status["index"]["tree"] == tree.git("rev-parse", "HEAD^{tree}")
        assert status["queue"]["set_aside"] == []
    assert_index_is_current(GitRepository.discover(operations.repo.path))


def test_a_sha256_repository_is_indexed(tiny_embedder, idle_interpreter, tmp_path):
    repo = GitRepo.init(tmp_path / "sha256", "--object-format=sha256")
    install(GitRepository.discover(repo.path), idle_interpreter)
    repo.commit({"src/util.py": UTIL})
    repo.commit({"src/app.py": APP})
    run_jobs(GitRepository.discover(repo.path))
    check(OperationsRepo(repo, tmp_path))
    repo.git("switch", "-q", "--orphan", "empty")
    check(OperationsRepo(repo, tmp_path))


def test_a_submodule_has_an_index_of_its_own(make_operations_repo, idle_interpreter):
    operations = make_operations_repo(idle_interpreter)
    submodule_add(operations)
    sub = GitRepo(operations.repo.path / "sub mödule")
    found = GitRepository.discover(sub.path)
    install(found, idle_interpreter)
    sub.commit({"deep/er.py": "def deeper(value):\n    return value\n"})
    run_jobs(found)
    check(OperationsRepo(sub, operations.folder))
    check(operations)


def test_a_bare_repository_follows_pushes_without_any_hook(
    make_operations_repo, idle_interpreter, tmp_path
):
    operations = make_operations_repo(idle_interpreter)
    bare = GitRepo(tmp_path / "shared ü.git")
    operations.git("clone", "-q", "--bare", ".", str(bare.path))
    found = GitRepository.discover(bare.path)
    install(found, idle_interpreter)
    index_repository(found)
    check(OperationsRepo(bare, tmp_path))
    commit(operations)
    operations.git("push", "-q", str(bare.path), "main")
    check(OperationsRepo(bare, tmp_path))
