"""Hooks in core.hooksPath are not touched; where git supports it, ours are configured."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from git_copilot.hooks import sources as sources_module
from git_copilot.hooks.events import HOOKS
from git_copilot.hooks.install import MANAGER_LINE, install, uninstall
from git_copilot.hooks.sources import installed_hooks
from git_copilot.index.git.repository import GitRepository
from tests.support.folders import folder_content, write_file
from tests.support.gitrepo import GitRepo


@pytest.mark.parametrize("path", [".husky/_", "~/shared hooks", "/dev/null"])
def test_a_foreign_hooks_path_is_unchanged_and_one_line_of_advice_given(
    repo, found, hermetic, path, monkeypatch
):
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (9, 0))
    repo.git("config", "core.hooksPath", path)
    folder = repo.path / path if path[0] == "." else Path(path).expanduser()
    if path != "/dev/null":
        write_file(folder / "post-commit", "#!/bin/sh\n")
    worktree, home = folder_content(repo.path), folder_content(hermetic)
    report = install(found)
    assert report.hooks == []
    assert len(report.notes) == 1
    assert "\n" not in report.notes[0]
    assert ("hooks are disabled" if path == "/dev/null" else MANAGER_LINE) in report.notes[0]
    after = folder_content(repo.path)
    assert {n: v for n, v in after.items() if not n.startswith(".git/copilot")} == worktree
    new = {n for n in folder_content(hermetic).items() if n not in home.items()}
    assert {n for n, _ in new if not n.startswith(".local")} == set()  # the record of `known`
    assert installed_hooks(found).via is None


def test_the_advised_line_works_in_husky(stub_worker, monkeypatch):
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (9, 0))
    husky = stub_worker.repo.path / ".husky"
    write_file(husky / "_/post-commit", '#!/bin/sh\nsh -e "$(dirname "$0")/../post-commit" "$@"\n')
    write_file(husky / "post-commit", f"set -u\n{MANAGER_LINE}\necho ran >>$PWD/ran\n", 0o644)
    stub_worker.repo.git("config", "core.hooksPath", ".husky/_")
    report = stub_worker.install()
    assert report.hooks == ["post-commit"]
    assert "post-commit" not in report.notes[0].partition("add to ")[2].partition(" there")[0]
    stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")
    assert (stub_worker.repo.path / "ran").exists()
    left = uninstall(GitRepository.discover(stub_worker.repo.path))
    assert "remove git-copilot's lines" in left.notes[-1]
    stub_worker.repo.commit({"c": "c"})  # the line is silent when git-copilot is gone
    assert (stub_worker.repo.path / "ran").read_text() == "ran\nran\n"


def test_where_git_supports_config_hooks_no_file_is_written(repo, found, monkeypatch, tmp_path):
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (2, 0))
    repo.git("config", "core.hooksPath", str(tmp_path))
    config = (found.common_dir / "config").read_bytes()
    report = install(found)
    assert (report.hooks, report.changed, report.notes) == (list(HOOKS), True, ())
    assert not install(found).changed
    assert installed_hooks(found).installed == list(HOOKS)
    # What git 2.54 does with it: the command, by a shell, with the hook's arguments behind it.
    command = repo.git("config", "hook.git-copilot-post-checkout.command")
    events = found.state_dir / "spool/events"
    for flag, count in (("0", 0), ("1", 1)):
        subprocess.run(
            ["sh", "-c", f'{command} "$@"', command, "a", "b", flag], cwd=repo.path, check=True
        )
        assert (len(events.read_text().splitlines()) if events.exists() else 0) == count
    assert events.read_text() == "post-checkout\t-\t.\ta b 1\n"
    uninstall(found)
    assert (found.common_dir / "config").read_bytes() == config
    # With the state folder's file gone the command is silent.
    install(found)
    (found.state_dir / "hook.sh").unlink()
    done = subprocess.run(["sh", "-c", command], cwd=repo.path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_hooks_that_are_switched_off_stay_off_in_the_configuration_too(repo, found, monkeypatch):
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (2, 0))
    repo.git("config", "core.hooksPath", "/dev/null")
    report = install(found)
    assert report.hooks == [] and "hooks are disabled" in report.notes[0]
    assert found.config("hook") == {}


@pytest.mark.parametrize("step", range(2 * len(HOOKS)))
def test_a_kill_while_writing_configuration_leaves_no_hook_without_command(
    repo, found, monkeypatch, tmp_path, step
):
    """Such an event makes git 2.54 refuse every commit."""
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (2, 0))
    repo.git("config", "core.hooksPath", str(tmp_path))
    run, done = GitRepository.run, []

    def killed(self, *args, **more):
        if args[0] == "config":
            if len(done) == step:
                raise KeyboardInterrupt
            done.append(args)
        return run(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(GitRepository, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            install(found)
    settings = found.config("hook")
    assert len(settings) == step
    events = [name.removesuffix(".event") for name in settings if name.endswith(".event")]
    assert all(f"{name}.command" in settings for name in events)
    install(found)
    assert installed_hooks(found).installed == list(HOOKS)
    uninstall(found)
    assert found.config("hook") == {}


@pytest.fixture
def newer_git(monkeypatch):
    """A git that runs hooks in the configuration: this machine's, or that of the variable."""
    folder = os.environ.get("COPILOT_NEWER_GIT")
    if folder:
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    version = subprocess.run(["git", "version"], capture_output=True, text=True).stdout.split()[2]
    if tuple(int(part) for part in version.split(".")[:2]) < sources_module.CONFIG_HOOKS_SINCE:
        pytest.skip("needs git 2.54; COPILOT_NEWER_GIT names a folder with one")


def test_git_itself_runs_hooks_in_the_configuration(newer_git, stub_worker, git_silently, tmp_path):
    stub_worker.repo.git("config", "core.hooksPath", ".husky/_")
    before = (stub_worker.repo.git_dir / "config").read_bytes()
    write_file(
        stub_worker.repo.path / ".husky/_/post-commit", f"#!/bin/sh\necho ran >>'{tmp_path}/ran'\n"
    )
    assert stub_worker.install().notes == ()
    git_silently(stub_worker.repo, "commit", "-q", "--allow-empty", "-m", "x")
    git_silently(stub_worker.repo, "switch", "-q", "-c", "side")
    git_silently(stub_worker.repo, "commit", "-q", "--allow-empty", "--amend", "-m", "y")
    git_silently(stub_worker.repo, "checkout", "-q", "HEAD", "--", "a.txt")
    stub_worker.wait_until_idle()
    head = stub_worker.repo.git("rev-parse", "HEAD")
    assert stub_worker.jobs(kind="sync")[-1]["head"] == head
    assert (tmp_path / "ran").read_text() == "ran\nran\n"
    stub_worker.interpreter.write_text("#!/bin/sh\n")
    stub_worker.repo.git("worktree", "add", "-q", "-b", "third", str(tmp_path / "thïrd tree"))
    git_silently(
        type(stub_worker.repo)(tmp_path / "thïrd tree"), "commit", "-q", "--allow-empty", "-m", "z"
    )
    git_silently(stub_worker.repo, "merge", "-q", "--ff-only", "third")
    lines = (stub_worker.state / "spool/events").read_text().splitlines()
    assert [line.split("\t")[0::2] for line in lines] == [
        ["post-checkout", "worktrees/thïrd-tree"], ["post-commit", "worktrees/thïrd-tree"],
        ["post-merge", "."],
    ]  # fmt: skip
    assert lines[0].endswith(" 1") and lines[2].endswith("\t0")
    (stub_worker.state / "hook.sh").unlink()
    git_silently(stub_worker.repo, "commit", "-q", "--allow-empty", "-m", "no hook.sh")
    uninstall(GitRepository.discover(stub_worker.repo.path))
    assert (stub_worker.repo.git_dir / "config").read_bytes() == before


def test_a_working_tree_inside_a_bare_repository_keeps_its_own_hooks(tmp_path, monkeypatch):
    """`repo.git/main` beside `repo.git/feature` is a usual layout; husky's files are tracked."""
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (9, 0))
    bare = GitRepo.init(tmp_path / "project.git", "--bare")
    tree = bare.git("mktree", stdin="")
    bare.git("update-ref", "HEAD", bare.git("commit-tree", "-m", "x", tree))
    bare.git("worktree", "add", "-q", "feature")
    bare.git("config", "core.hooksPath", ".husky/_")
    hook = write_file(bare.path / "feature/.husky/_/post-commit", "#!/bin/sh\n")
    report = install(GitRepository.discover(bare.path / "feature"))
    assert report.hooks == [] and MANAGER_LINE in report.notes[0]
    assert hook.read_text() == "#!/bin/sh\n"
    bare.git("config", "--unset", "core.hooksPath")
    assert install(GitRepository.discover(bare.path / "feature")).hooks == list(HOOKS)
