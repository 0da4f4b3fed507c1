"""The right repository is read, whatever the environment says."""

from __future__ import annotations

import pytest

from git_copilot.index.core.errors import GitError, NotARepository
from git_copilot.index.git.repository import GitRepository


def test_a_repository_is_found_from_a_subfolder(repo):
    repo.commit({"a/b.py": "x = 1\n"})
    found = GitRepository.discover(repo.path / "a")
    assert found.root == repo.path.resolve()
    assert found.state_dir == repo.path.resolve() / ".git" / "copilot"
    assert found.view_name == ""


def test_outside_a_repository_is_a_one_line_error(tmp_path):
    with pytest.raises(NotARepository, match="not in a Git repository"):
        GitRepository.discover(tmp_path)


def test_a_linked_worktree_shares_state_and_has_its_own_view(repo, tmp_path):
    repo.commit({"a.py": "x = 1\n"})
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    found = GitRepository.discover(tmp_path / "linked")
    assert found.state_dir == repo.path.resolve() / ".git" / "copilot"
    assert found.view_name == "worktrees/linked"


def test_a_bare_repository_has_no_root(tmp_path, repo):
    repo.commit({"a.py": "x = 1\n"})
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    found = GitRepository.discover(tmp_path / "bare.git")
    assert found.root is None
    assert found.name == "bare"
    assert [e.path for e in found.ls_tree("HEAD")] == ["a.py"]


def test_variables_of_another_repository_are_ignored(repo, tmp_path, monkeypatch):
    """git exports these to hooks; a worker that kept them would read the wrong index."""
    repo.commit({"a.py": "x = 1\n"})
    found = GitRepository.discover(repo.path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nothing"))
    assert found.head_commit() == found.resolve("HEAD")
    assert len(found.ls_tree("HEAD")) == 1


def test_an_unborn_branch_has_no_head_commit(repo):
    found = GitRepository.discover(repo.path)
    assert found.head_commit() is None
    assert found.head_tree() is None


def test_paths_and_blobs_come_back_byte_for_byte(repo):
    odd = {"sp ace/ä\ttab.py": "x = 'é'\n", 'quo"te.py': b"\xff\xfe raw\n", "new\nline.py": "y\n"}
    repo.commit(odd)
    found = GitRepository.discover(repo.path)
    entries = found.ls_tree("HEAD")
    assert {e.path for e in entries} == set(odd)
    contents = dict(found.blobs(e.oid for e in entries))
    assert contents[next(e.oid for e in entries if e.path.startswith("quo"))] == b"\xff\xfe raw\n"


def test_a_tree_diff_lists_added_and_removed_blobs(repo):
    repo.commit({"a.py": "1\n", "b.py": "2\n"})
    old = repo.git("rev-parse", "HEAD^{tree}")
    repo.git("mv", "a.py", "c.py")
    repo.commit({"b.py": "3\n"})
    found = GitRepository.discover(repo.path)
    changes = {c.path: (bool(c.old), bool(c.new)) for c in found.diff_trees(old, "HEAD^{tree}")}
    assert changes == {"a.py": (True, False), "b.py": (True, True), "c.py": (False, True)}


def test_missing_objects_are_omitted_from_batches(repo):
    repo.commit({"a.py": "x\n"})
    found = GitRepository.discover(repo.path)
    oid = found.ls_tree("HEAD")[0].oid
    missing = "1" * len(oid)
    assert list(found.blobs([missing, oid])) == [(oid, b"x\n")]
    assert found.blob_sizes([oid, missing]) == {oid: 2}
    with pytest.raises(GitError, match="not in the repository"):
        found.read_blob(missing)


def test_a_sha256_repository_is_read(tmp_path):
    from tests.support.gitrepo import GitRepo

    repo = GitRepo.init(tmp_path / "r", "--object-format=sha256")
    repo.commit({"a.py": "x = 1\n"})
    found = GitRepository.discover(repo.path)
    assert len(found.head_commit() or "") == 64
    assert found.read_blob(found.ls_tree("HEAD")[0].oid) == b"x = 1\n"


def test_configuration_is_read_as_git_resolves_it(repo):
    repo.git("config", "copilot.maxTokens", "12")
    repo.git("config", "--add", "copilot.maxTokens", "13")
    repo.git("config", "copilotish.other", "no")
    assert GitRepository.discover(repo.path).config("copilot") == {"maxtokens": "13"}
