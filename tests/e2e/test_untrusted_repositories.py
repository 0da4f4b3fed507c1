"""Repositories made by others: the installed commands run and believe nothing of theirs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from git_copilot.index.git.trust import data_dir
from tests.support.commands import Copilot, assert_one_line
from tests.support.gitrepo import GitRepo

COMMANDS = (
    ("status",), ("search", "alpha"), ("complete", "src/app.py:5", "--no-server"), ("index",),
    ("index", "--rebuild"), ("index", "gc"), ("corpus",), ("adapter", "list"),
    ("adapter", "use", "none"), ("forget", "--list"), ("doctor", "--retry"), ("eval",),
    ("feedback", "x", "accepted"), ("stats",), ("refresh",), ("install",), ("model", "use", "tiny"),
)  # fmt: skip


def carried_off(copilot, tmp_path) -> tuple[Copilot, Path]:
    """The project as an archive brings it, with all of ``.git``, to somebody who never saw it.
    Returns it, and what would be there if something of it had run."""
    there, ran = tmp_path / "unpacked", tmp_path / "ran"
    shutil.copytree(copilot.path, there, symlinks=True)
    trap = there / ".git" / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    trap.chmod(0o755)
    state = there / ".git" / "copilot"
    (state / "python").write_text(f"{trap}\n")
    (state / "hook.sh").write_text(f"touch '{ran}'\n")
    (state / "adapters").mkdir(exist_ok=True)
    (state / "adapters" / "current").write_text("20260101-000000-aaaa\n")
    with (there / ".git" / "config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {trap.parent}\n[copilot]\n"
            "\tendpoint = http://127.0.0.1:9\n\tendpointModel = theirs\n\tmodel = /theirs\n"
            "\tendpointKey = HOME\n\tembedder = /theirs\n\tmaxTokens = 3\n"
        )
    shutil.rmtree(data_dir())
    return Copilot(there), ran


def test_nothing_in_an_unpacked_repository_is_used_or_run(copilot, tmp_path):
    theirs, ran = carried_off(copilot, tmp_path)
    state = theirs.path / ".git" / "copilot"
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    for words in COMMANDS:
        assert_one_line(theirs.run(*words), 1, "git copilot init")
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before
    told = theirs.run("doctor").stdout.decode()
    assert "is not trusted" in told and "--adopt" in told
    for key in ("endpoint", "endpointModel", "endpointKey", "model", "embedder"):
        assert f"copilot.{key} of this repository's own configuration is skipped" in told
    assert "maxTokens of" not in told and "127.0.0.1:9" not in told
    assert "/theirs" not in theirs.run("model", "path").stdout.decode()
    assert not ran.exists()


def test_init_replaces_foreign_state_and_reports_the_active_settings(copilot, tmp_path):
    theirs, ran = carried_off(copilot, tmp_path)
    for key in ("endpoint", "endpointModel", "model", "embedder"):
        GitRepo(theirs.path).git("config", "--unset", f"copilot.{key}")
    told = theirs.ok("init")
    aside = theirs.path / ".git" / "copilot.aside"
    assert f"lies in {aside}" in told and (aside / "copilot.db").exists()
    assert "this repository's configuration counts now: copilot.endpointKey is 'HOME'" in told
    state = theirs.path / ".git" / "copilot"
    assert (state / "python").read_text() == f"{sys.executable}\n"
    assert not (state / "adapters" / "current").exists()
    assert not ran.exists()
    assert theirs.json("search", "alpha")["hits"]
    assert "counts now" not in theirs.ok("init")


def test_adopt_keeps_the_index_and_purge_removes_the_trust_record(copilot, tmp_path):
    moved = tmp_path / "copy"
    shutil.copytree(copilot.path, moved, symlinks=True)
    copy = Copilot(moved)
    assert_one_line(copy.run("status"), 1, "--adopt")
    identity = (moved / ".git/copilot/copilot.db").stat().st_ino
    copy.ok("init", "--adopt")
    assert (moved / ".git/copilot/copilot.db").stat().st_ino == identity
    assert copy.json("status")["index"]["fresh"]
    copy.ok("uninstall", "--purge")
    assert_one_line(copy.run("status"), 1, "git copilot init")
    assert copilot.json("status")["index"]["fresh"]  # the first one is known as before
    copilot.ok("uninstall", "--purge")
    assert list((data_dir() / "known").iterdir()) == []


def test_purge_deletes_a_linked_state_folder_but_not_its_target(project, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "python").write_text("mine")
    (project.path / ".git" / "copilot").symlink_to(tmp_path / "mine")
    commands = Copilot(project.path)
    assert_one_line(commands.run("install"), 1, "is not trusted")
    commands.ok("uninstall", "--purge")
    assert not os.path.lexists(project.path / ".git" / "copilot")
    assert (tmp_path / "mine" / "python").read_text() == "mine"


def test_a_link_planted_beside_a_hook_is_not_written_through(project, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    hooks = project.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / ".post-commit.copilot-new").symlink_to(victim)
    (hooks / "post-merge").symlink_to(victim)
    commands = Copilot(project.path)
    commands.ok("init")
    assert victim.read_text() == "mine"
    commands.run("serve", "--stop")


@pytest.mark.parametrize("apart", [False, True])
def test_git_dir_and_work_tree_variables_apply_to_complete_and_search(copilot, tmp_path, apart):
    """As with yadm and vcsh."""
    tree, git_dir = tmp_path / "home", tmp_path / "dots.git"
    tree.mkdir()
    (copilot.path / ".git").rename(git_dir)
    for name in ("src", "README.md"):
        (copilot.path / name).rename(tree / name)
    cwd = tmp_path if apart else tree
    named = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(tree)}
    commands = Copilot(cwd)
    assert commands.json("search", "alpha", **named)["hits"][0]["path"].startswith("src/")
    file = "home/src/app.py" if apart else "src/app.py"
    assert commands.json("complete", f"{file}:5", "--no-server", **named)["file"] == "src/app.py"
    (tmp_path / "other.py").write_text("x = 1\n")
    done = commands.run("complete", f"{tmp_path}/other.py:1", "--no-server", **named)
    assert_one_line(done, 1, "is outside", "GIT_DIR")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
@pytest.mark.parametrize(
    "words", [("init",), ("search", "alpha"), ("complete", "src/app.py:5"), ("status",)]
)
def test_a_repository_of_another_owner_names_gits_remedy_in_every_command(project, words):
    for path in (project.path, project.path / ".git"):
        os.chown(path, 4242, 4242)
    done = Copilot(project.path).run(*words)
    assert_one_line(done, 1, "dubious ownership", "git config --global --add safe.directory")
