"""The repository of a folder is the one that git finds, and no folder of a working tree passes for
one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from git_copilot.index.core.errors import GitError, NotARepository
from git_copilot.index.git import discovery
from git_copilot.index.git.repository import GitRepository
from tests.support.gitrepo import GitRepo

HOSTILE = "[core]\n\trepositoryformatversion = 0\n\tbare = {bare}\n\tworktree = {worktree}\n"


def plant(folder: Path, *, bare: str = "false", worktree: str = "..") -> Path:
    """Make a folder look like a bare repository with a hostile configuration."""
    for name in ("objects", "refs/heads"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / ".keep").touch()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    text = HOSTILE.format(bare=bare, worktree=worktree)
    (folder / "config").write_text(text if worktree else text.replace("\tworktree = \n", ""))
    (folder / "util.py").write_text("def f():\n    return 1\n")
    return folder


@pytest.fixture
def clone(repo: GitRepo) -> GitRepo:
    repo.commit({"main.py": "x = 1\n"})
    return repo


def is_the_clone(found: GitRepository, clone: GitRepo) -> bool:
    top = clone.path.resolve()
    return (found.root, found.git_dir) == (top, top / ".git")


@pytest.mark.parametrize("bare", ["true", "false"])
@pytest.mark.parametrize("worktree", ["", "..", ".", "/"])
def test_a_tracked_folder_that_looks_like_a_repository_is_not_one(clone, bare, worktree):
    lib = plant(clone.path / "lib", bare=bare, worktree=worktree)
    for folder in (lib, lib / "objects", lib / "refs" / "heads", lib / "util.py"):
        assert is_the_clone(GitRepository.discover(folder), clone)


def test_nested_repository_look_alikes_are_ignored(clone):
    outer = plant(clone.path / "a")
    inner = plant(outer / "b" / "c.git", bare="true", worktree="")
    assert is_the_clone(GitRepository.discover(inner), clone)
    assert is_the_clone(GitRepository.discover(outer / "b"), clone)


def test_a_folder_posing_as_a_linked_worktree_is_ignored(clone, tmp_path):
    other = plant(tmp_path / "evil.git")
    lib = clone.path / "lib"
    lib.mkdir()
    (lib / "HEAD").write_text("ref: refs/heads/main\n")
    for name in ("commondir", "gitdir"):
        (lib / name).write_text(f"{other}\n")
    assert is_the_clone(GitRepository.discover(lib), clone)


def test_a_repository_look_alike_made_of_links_is_ignored(clone, tmp_path):
    other = plant(tmp_path / "evil.git")
    lib = clone.path / "lib"
    lib.mkdir()
    for name in ("HEAD", "config", "objects", "refs"):
        (lib / name).symlink_to(other / name)
    assert is_the_clone(GitRepository.discover(lib), clone)


def test_look_alikes_in_linked_worktrees_and_submodules_are_ignored(clone, tmp_path):
    clone.git("worktree", "add", "-q", str(tmp_path / "linked"))
    plant(tmp_path / "linked" / "lib")
    found = GitRepository.discover(tmp_path / "linked" / "lib")
    assert found.root == (tmp_path / "linked").resolve()
    source = GitRepo.init(tmp_path / "source")
    source.commit({"s.py": "s = 1\n"})
    allow = ("-c", "protocol.file.allow=always")
    clone.git(*allow, "submodule", "add", "-q", str(source.path), "sub")
    plant(clone.path / "sub" / "lib")
    found = GitRepository.discover(clone.path / "sub" / "lib")
    assert found.root == (clone.path / "sub").resolve()
    assert found.git_dir == clone.path.resolve() / ".git" / "modules" / "sub"


def test_look_alikes_are_ignored_by_an_older_git_too(clone, monkeypatch):
    """It ignores safe.bareRepository and reports the folder as the repository."""
    lib = plant(clone.path / "lib")
    real = discovery._rev_parse
    monkeypatch.setattr(
        discovery, "_rev_parse", lambda start, _bare, said: real(start, "all", said)
    )
    assert is_the_clone(GitRepository.discover(lib), clone)
    assert is_the_clone(GitRepository.discover(clone.path / ".git" / "refs"), clone)


def test_a_bare_repository_outside_any_working_tree_is_found(tmp_path, clone):
    clone.git("clone", "-q", "--bare", ".", str(tmp_path / "own.git"))
    for folder in (tmp_path / "own.git", tmp_path / "own.git" / "refs"):
        found = GitRepository.discover(folder)
        assert (found.git_dir, found.root) == ((tmp_path / "own.git").resolve(), None)


def test_worktrees_inside_and_beside_a_bare_repository_are_found(tmp_path, clone):
    bare = tmp_path / "project" / ".bare"
    clone.git("clone", "-q", "--bare", ".", str(bare))
    (bare.parent / ".git").write_text("gitdir: ./.bare\n")
    own = GitRepo(bare.parent)
    own.git("worktree", "add", "-q", "main-tree", "HEAD")
    assert GitRepository.discover(bare.parent / "main-tree").root == own.path / "main-tree"
    for folder in (bare.parent, bare):
        found = GitRepository.discover(folder)
        assert (found.git_dir, found.root) == (bare.resolve(), None)


def test_inside_the_git_folder_the_enclosing_repository_is_found(clone):
    for folder in (".git", ".git/refs", ".git/objects/info"):
        assert is_the_clone(GitRepository.discover(clone.path / folder), clone)


def test_git_files_and_linked_git_folders_are_followed(clone, tmp_path):
    clone.git("init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere"))
    assert GitRepository.discover(clone.path).git_dir == (tmp_path / "elsewhere").resolve()
    (clone.path / ".git").unlink()
    (clone.path / ".git").symlink_to(tmp_path / "elsewhere")
    found = GitRepository.discover(clone.path)
    assert found.git_dir == (tmp_path / "elsewhere").resolve()
    assert found.root == clone.path.resolve()


def test_ceiling_directories_are_obeyed(clone, monkeypatch):
    (clone.path / "a" / "b").mkdir(parents=True)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str((clone.path / "a").resolve()))
    with pytest.raises(NotARepository):
        GitRepository.discover(clone.path / "a" / "b")


def test_a_broken_git_file_is_a_one_line_error(tmp_path):
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(NotARepository, match="/nowhere"):
        GitRepository.discover(tmp_path)


def test_folder_names_with_newlines_are_read_completely(tmp_path):
    repo = GitRepo.init(tmp_path / "two\nlines")
    repo.commit({"sub\ndir/a.py": "x\n"})
    assert GitRepository.discover(repo.path / "sub\ndir").root == repo.path.resolve()
    odd = GitRepo.init(tmp_path / f"x\n{discovery._MARK}\ny")
    with pytest.raises(GitError, match="cannot be parsed"):
        GitRepository.discover(odd.path)


def test_variables_name_the_repository_when_no_folder_is_given(clone, tmp_path, monkeypatch):
    git_dir, tree = tmp_path / "dots.git", tmp_path / "tree"
    tree.mkdir()
    shutil.move(clone.path / ".git", git_dir)
    monkeypatch.setenv("GIT_DIR", str(git_dir))
    monkeypatch.setenv("GIT_WORK_TREE", str(tree))
    monkeypatch.chdir(tmp_path)
    found = GitRepository.discover()
    assert (found.git_dir, found.root) == (git_dir.resolve(), tree.resolve())
    (tree / "main.py").write_text("x = 2\n")
    # Whatever its configuration says of a working tree.
    os.environ.pop("GIT_DIR")
    found.run("config", "core.worktree", "/")
    assert found.run("status", "--porcelain") == b" M main.py\n"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    with pytest.raises(NotARepository, match="GIT_DIR"):
        GitRepository.discover()


def test_git_dir_alone_in_a_subfolder_uses_the_usual_working_tree(clone, monkeypatch):
    (clone.path / "sub").mkdir()
    monkeypatch.setenv("GIT_DIR", str(clone.path / ".git"))
    monkeypatch.chdir(clone.path / "sub")
    assert is_the_clone(GitRepository.discover(), clone)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_another_owner_is_refused_with_gits_reason_and_the_remedy(clone):
    for path in (clone.path, clone.path / ".git"):
        os.chown(path, 4242, 4242)
    with pytest.raises(GitError, match="dubious ownership in repository at") as caught:
        GitRepository.discover(clone.path)
    assert "git config --global --add safe.directory '" in caught.value.hint
    assert "\n" not in str(caught.value)
    clone.git("config", "--global", "--add", "safe.directory", str(clone.path.resolve()))
    assert is_the_clone(GitRepository.discover(clone.path), clone)
