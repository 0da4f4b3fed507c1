"""What git said is said again without git, until something that git reads has changed."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from git_copilot.index.core.errors import GitError, NotARepository
from git_copilot.index.git import discovery, remembered
from git_copilot.index.git.remembered import RememberedRepository, RepositoryFinder
from git_copilot.index.git.repository import GitRepository


@pytest.fixture(name="runs")
def started_processes(monkeypatch):
    """The arguments of each git process from here on."""
    found, popen = [], subprocess.Popen.__init__

    def watched(self, args, *more, **named):
        if args[0] == "git":
            found.append(list(args))
        popen(self, args, *more, **named)

    monkeypatch.setattr(subprocess.Popen, "__init__", watched)
    return found


def settle():
    """Wait until the times of what was just written tell a later change."""
    time.sleep(remembered.RACY_NS / 1e9 + 0.01)


@pytest.fixture(name="both")
def two_views(repo):
    """A repository that remembers, and one that does not."""
    repo.commit({"a.py": "a = 1\n"})
    settle()
    plain = GitRepository.discover(repo.path)
    return RememberedRepository(plain.git_dir, plain.common_dir, plain.root), plain


def same(both):
    kept, plain = both
    assert kept.head_tree() == plain.head_tree()
    assert kept.config_entries("copilot") == plain.config_entries("copilot")
    assert kept.read_prefix("HEAD:.gitcopilot", 99) == plain.read_prefix("HEAD:.gitcopilot", 99)
    assert kept._filter_keys() == plain._filter_keys()


def ask(kept):
    return (
        kept.head_tree(), kept.config_entries("copilot"), kept.read_prefix("HEAD:.gitcopilot", 99),
        kept._filter_keys(),
    )  # fmt: skip


def test_a_second_question_starts_no_process(both, runs):
    kept, _ = both
    ask(kept), ask(kept)  # the second time it knows which files to watch
    runs.clear()
    first = ask(kept)
    assert runs == [] and first == ask(kept)


CHANGES = {
    "commit": ["commit", "-q", "--allow-empty", "-m", "more"],
    "branch": ["checkout", "-q", "-b", "other"],
    "detached": ["checkout", "-q", "--detach"],
    "packed": ["pack-refs", "--all", "--prune"],
    "config": ["config", "copilot.maxTokens", "12"],
    "worktree-config": ["config", "extensions.worktreeConfig", "true"],
    "global": ["config", "--global", "copilot.snippets", "3"],
    "filter": ["config", "filter.Some.clean", "cat"],
    "unset": ["config", "--unset", "core.bare"],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_noticed_at_once(both, repo, change):
    ask(both[0]), ask(both[0])
    subprocess.run(["git", "-C", repo.path, *change], check=True)
    same(both)
    settle()
    same(both)


def test_commits_one_after_the_other_are_noticed(both, repo):
    for i in range(20):
        repo.commit({"a.py": f"a = {i}\n", ".gitcopilot": f"[copilot]\n\tmaxTokens = {i + 1}\n"})
        same(both)
        if i % 5 == 0:
            settle()


def test_a_branch_that_moves_after_refs_were_packed(both, repo):
    repo.git("pack-refs", "--all")
    settle()
    ask(both[0])
    repo.commit({"a.py": "a = 2\n"})
    same(both)
    repo.git("pack-refs", "--all")
    same(both)
    repo.git("update-ref", "HEAD", "HEAD~1")
    same(both)


def test_a_configuration_that_is_edited_in_place(both, repo):
    ask(both[0]), ask(both[0])
    path = repo.path / ".git" / "config"
    for number in range(10, 30):  # always of one size, often within a tick of the clock
        text = path.read_text().partition("[copilot]")[0]
        path.write_text(f"{text}[copilot]\n\tmaxTokens = {number}\n")
        same(both)


def test_an_included_file_is_watched(both, repo, hermetic):
    kept, _ = both
    extra = hermetic / "extra.config"
    repo.git("config", "include.path", str(extra))
    extra.write_text("[copilot]\n\tmaxTokens = 5\n")
    settle()
    ask(kept), ask(kept)
    assert kept.config("copilot") == {"maxtokens": "5"}
    extra.write_text("[copilot]\n\tmaxTokens = 66\n")
    same(both)
    extra.unlink()
    same(both)


def test_a_file_that_is_included_later_is_found_soon(both, repo, hermetic, monkeypatch):
    kept, plain = both
    extra = hermetic / "later.config"
    repo.git("config", "include.path", str(extra))
    settle()
    ask(kept), ask(kept)
    monkeypatch.setattr(remembered, "INCLUDES_SECONDS", 0.0)
    extra.write_text("[copilot]\n\tmaxTokens = 7\n")
    deadline = time.monotonic() + 5
    while kept.config("copilot") != plain.config("copilot") and time.monotonic() < deadline:
        time.sleep(0.05)
    same(both)


def test_values_of_the_command_line_count(both, monkeypatch):
    ask(both[0]), ask(both[0])
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'copilot.maxtokens=9'")
    same(both)
    assert both[0].config("copilot")["maxtokens"] == "9"


def test_a_linked_worktree_has_a_head_of_its_own(both, repo, tmp_path):
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    found = GitRepository.discover(tmp_path / "linked")
    kept = RememberedRepository(found.git_dir, found.common_dir, found.root)
    before = kept.head_tree()
    (tmp_path / "linked" / "b.py").write_text("b = 1\n")
    for command in (["add", "b.py"], ["commit", "-q", "-m", "side"]):
        subprocess.run(["git", "-C", tmp_path / "linked", *command], check=True)
    assert kept.head_tree() == found.head_tree() != before
    same(both)


def test_reftables_are_watched(tmp_path):
    made = subprocess.run(
        ["git", "init", "-q", "--ref-format=reftable", tmp_path / "new"], capture_output=True,
        check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("this git has no reftables")
    plain = GitRepository.discover(tmp_path / "new")
    kept = RememberedRepository(plain.git_dir, plain.common_dir, plain.root)
    for i in range(5):
        command = ["commit", "-q", "--allow-empty", "-m", f"{i}"]
        subprocess.run(["git", "-C", tmp_path / "new", *command], check=True)
        assert kept.head_tree() == plain.head_tree()
        assert kept.head_commit() == plain.head_commit()


def test_an_unborn_branch_has_no_tree_until_its_first_commit(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path / "new"], check=True)
    plain = GitRepository.discover(tmp_path / "new")
    kept = RememberedRepository(plain.git_dir, plain.common_dir, plain.root)
    assert kept.head_tree() is None and kept.head_tree() is None
    (tmp_path / "new" / "a.py").write_text("a = 1\n")
    for command in (["add", "a.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", tmp_path / "new", *command], check=True)
    assert kept.head_tree() == plain.head_tree() is not None


# Finding the repository


def test_the_same_repository_is_found_without_git(repo, runs):
    finder = RepositoryFinder()
    folder = repo.path / "src"
    folder.mkdir()
    found = finder.find(folder)
    runs.clear()
    assert finder.find(folder) is found and runs == []
    assert found.root == repo.path.resolve()


def test_a_repository_that_begins_in_between_is_found(repo):
    finder = RepositoryFinder()
    folder = repo.path / "vendored" / "src"
    folder.mkdir(parents=True)
    assert finder.find(folder).root == repo.path.resolve()
    subprocess.run(["git", "init", "-q", folder.parent], check=True)
    assert finder.find(folder).root == folder.parent.resolve()
    (folder.parent / ".git").rename(folder.parent / "gone")
    assert finder.find(folder).root == repo.path.resolve()


def test_a_repository_that_is_gone_is_not_found(repo):
    finder = RepositoryFinder()
    finder.find(repo.path)
    (repo.path / ".git").rename(repo.path / "elsewhere")
    with pytest.raises(NotARepository):
        finder.find(repo.path)


def test_one_that_git_refuses_is_refused_again(repo, monkeypatch):
    finder = RepositoryFinder()
    finder.find(repo.path)
    # git tests who owns the folder; as root, every answer of `stat` is another's here.
    monkeypatch.setattr(remembered, "FOUND_SECONDS", 0.0)

    def refuses(start, overrides):
        raise GitError("git refuses to work there", "its owner is another user")

    monkeypatch.setattr(remembered, "find_repository", refuses)
    monkeypatch.setattr(remembered, "_place_key", lambda folder, repo: object())
    for _ in range(2):
        with pytest.raises(GitError, match="refuses"):
            finder.find(repo.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_change_of_the_owner_is_noticed(repo):
    finder = RepositoryFinder()
    finder.find(repo.path)
    os.chown(repo.path, 12345, -1)
    os.chown(repo.path / ".git", 12345, -1)
    try:
        with pytest.raises(GitError, match="own"):
            finder.find(repo.path)
    finally:
        os.chown(repo.path, 0, -1)
        os.chown(repo.path / ".git", 0, -1)


def test_the_environment_of_git_counts_before_the_folder(repo, monkeypatch, tmp_path):
    finder = RepositoryFinder()
    finder.find(repo.path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert discovery.REPOSITORY_OVERRIDES[0] == "GIT_DIR"
    assert not isinstance(finder.find(repo.path), RememberedRepository)


def test_folders_are_forgotten_when_there_are_many(repo, monkeypatch):
    monkeypatch.setattr(remembered, "MOST_FOLDERS", 3)
    finder = RepositoryFinder()
    for i in range(6):
        (repo.path / f"d{i}").mkdir()
        finder.find(repo.path / f"d{i}")
    assert len(finder._found) == 3
