"""Mistakes and damaged repositories give one line with a remedy."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.commands import assert_one_line
from tests.support.gitrepo import GitRepo

MISTAKES = [
    (["complete", "nope.py:1"], 1, ["does not exist"]),
    (["complete", "src/app.py:1:2:3"], 1, ["does not exist", "FILE:LINE:COL"]),
    (["complete", "src/app.py:99"], 1, ["has 6 lines", "src/app.py:6"]),
    (["complete", "src/app.py:1:99"], 1, ["no column 99"]),
    (["complete", "src:1"], 1, ["folder"]),
    (["complete", "logo.png:1"], 1, ["binary"]),
    (["complete", "src/app.py"], 1, ["has no line number"]),
    (["complete", "src/app.py:0"], 1, ["start at 1"]),
    (["complete", "src/app.py:1", "--model", "nonsense"], 1, ["unknown model"]),
    (["complete", "src/app.py:1", "--adapter", "nonsense"], 1, ["no adapter"]),
    (["complete", "src/app.py:1", "--at", "nonsense"], 1, ["nonsense"]),
    (["complete", "src/app.py:1", "--write", "--stdin"], 2, ["--write"]),
    (["complete"], 2, ["FILE:LINE"]),
    (["complete", "src/app.py:1", "--nonsense"], 2, ["--nonsense"]),
    (["nonsense"], 2, ["no command"]),
    (["model", "use", "nonsense"], 1, ["unknown model"]),
    (["model", "use", "qwen2.5-coder-0.5b"], 1, ["--pull"]),
    (["model", "use", "minilm-static"], 1, ["embedder"]),
    (["adapter", "use", "nonsense"], 1, ["adapter list"]),
    (["adapter", "rollback"], 1, ["refresh"]),
]


def test_wrong_arguments_are_one_line_errors(copilot, project):
    (project.path / "logo.png").write_bytes(b"\x89PNG\0\0\0")
    for args, code, words in MISTAKES:
        assert_one_line(copilot.run(*args), code, *words)
    assert copilot.json("serve", "--status")["running"] is False, "no server for a mistake"


@pytest.mark.parametrize("command", [["complete", "a.py:1"], ["search", "x"], ["status"], ["index"],
                                     ["refresh"], ["corpus"], ["eval"]])  # fmt: skip
def test_commands_before_init_name_init(project, bare_commands, command):
    (project.path / "a.py").write_text("x\n")
    assert_one_line(bare_commands.run(*command, cwd=project.path), 1, "git copilot init")


@pytest.mark.parametrize("command", [["init"], ["search", "x"], ["status"], ["install"]])
def test_commands_outside_a_repository_say_so_in_one_line(bare_commands, command):
    assert_one_line(bare_commands.run(*command), 1, "not in a Git repository")


def test_commands_work_in_an_empty_repository(bare_commands, tmp_path):
    repo = GitRepo.init(tmp_path / "empty")
    out = bare_commands.ok("init", cwd=repo.path)
    assert "0 new files" in out and "0 holes" in out
    (repo.path / "a.py").write_text("x = \n")
    answer = bare_commands.json("complete", "a.py:1", "--no-server", cwd=repo.path)
    assert answer["snippets"] == []
    assert bare_commands.json("status", cwd=repo.path)["index"]["fresh"] is True


def test_commands_work_in_a_bare_repository(bare_commands, project, tmp_path):
    project.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    out = bare_commands.ok("init", cwd=tmp_path / "bare.git")
    assert "bare" in out
    hits = bare_commands.json("search", "alpha", cwd=tmp_path / "bare.git")["hits"]
    assert hits[0]["path"] == "src/util.py"
    done = bare_commands.run("complete", "src/app.py:1", cwd=tmp_path / "bare.git")
    assert_one_line(done, 1, "bare repository")


def test_commands_work_in_a_shallow_clone_and_on_a_detached_head(bare_commands, project, tmp_path):
    project.git("clone", "-q", "--depth", "1", f"file://{project.path}", str(tmp_path / "shallow"))
    project.git("-C", str(tmp_path / "shallow"), "checkout", "-q", "--detach")
    out = bare_commands.ok("init", cwd=tmp_path / "shallow")
    assert "0 holes of 1 commits" in out
    answer = bare_commands.json("complete", "src/app.py:5", "--no-server", cwd=tmp_path / "shallow")
    assert answer["index"]["fresh"] is True


def test_a_corrupt_database_is_reported_and_rebuilt_on_request(copilot, project):
    state = project.git_dir / "copilot"
    for name in ("copilot.db-wal", "copilot.db-shm"):
        (state / name).unlink(missing_ok=True)
    (state / "copilot.db").write_bytes(b"garbage" * 1000)
    for command in (["complete", "src/app.py:5"], ["status"], ["search", "alpha"]):
        assert_one_line(copilot.run(*command), 1, "index --rebuild")
    report = copilot.json("index", "--rebuild")
    assert report["blobs_added"] == 3 and report["chunks_embedded"] == report["chunks_added"] > 0
    assert copilot.json("index") | {"seconds": 0} == {
        "tree": project.git("rev-parse", "HEAD^{tree}"), "blobs_added": 0, "blobs_removed": 0,
        "chunks_added": 0, "chunks_embedded": 0, "seconds": 0,
    }  # fmt: skip


def test_a_named_pipe_is_refused_without_blocking(copilot, project):
    os.mkfifo(project.path / "pipe.py")
    assert_one_line(copilot.run("complete", "pipe.py:1"), 1, "not a regular file")


def test_closed_streams_and_deleted_folders_give_no_traceback(copilot, project, tmp_path):
    for command in ("git-copilot status <&-", "git-copilot status >&- 2>&-"):
        assert subprocess.run(["sh", "-c", command], cwd=project.path, check=False).returncode == 0
    script = "mkdir gone && cd gone && rmdir ../gone && git-copilot status"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert_one_line(done, 1, "folder was deleted")
