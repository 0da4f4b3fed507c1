"""A user's commands from init to uninstall, and all fields of their JSON."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from git_copilot.index.corpus.feedback_store import feedback_weights
from git_copilot.index.corpus.mining import load_holes
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.commands import assert_one_line

COMPLETE_FIELDS = {
    "id", "completion", "file", "line", "column", "model", "adapter", "finish_reason", "index",
    "snippets", "prompt_tokens", "cached_tokens", "completion_tokens", "timings_ms", "confidence",
}  # fmt: skip


def test_init_twice_changes_nothing(copilot, project):
    before = copilot.json("status")
    hooks = {p.name: p.read_bytes() for p in (project.git_dir / "hooks").iterdir()}
    out = copilot.ok("init")
    assert "0 new files, 0 new chunks, 0 embedded" in out and "0 new commits" in out
    assert copilot.json("status") == before
    assert {p.name: p.read_bytes() for p in (project.git_dir / "hooks").iterdir()} == hooks
    assert project.git("status", "--porcelain") == ""


def test_a_commit_is_searchable_after_status_wait(copilot, project):
    project.commit({"src/fresh.py": "def entirely_new_helper():\n    return 3\n"})
    copilot.ok("status", "--wait", "--timeout", "60")
    (best, *_) = copilot.json("search", "entirely_new_helper")["hits"]
    assert best["path"] == "src/fresh.py"
    assert set(best) == {"path", "blob", "start_line", "end_line", "score", "sources"}
    assert copilot.json("corpus")["commits"] == 3


def test_status_json_has_the_documented_fields(copilot, project):
    status = copilot.json("status")
    counted = {"files", "chunks", "vectors", "secrets", "left_out"}
    assert set(status["index"]) == {"tree", "head_tree", "fresh", *counted}
    assert status["index"]["tree"] == project.git("rev-parse", "HEAD^{tree}")
    assert status["index"]["fresh"] is True
    assert status["index"]["chunks"] == status["index"]["vectors"] > 0
    assert set(status["corpus"]) == {"commits", "holes", "authors"}
    assert status["adapters"] == {"current": None, "count": 0}
    assert status["adapter_remarks"] == []
    assert status["refresh"] == {
        "new_commits": 0, "starts_after": 0, "pid": None, "phase": None, "done": 0, "total": 0,
        "seconds_left": None, "waits": None,
    }  # fmt: skip
    assert status["queue"]["pending"] == 0 and status["queue"]["running"] is None
    assert status["hooks"]["via"] == "native"
    assert set(status["hooks"]["installed"]) == {
        "post-commit", "post-merge", "post-checkout", "post-rewrite",
    }  # fmt: skip
    assert status["server"] == {"running": False, "pid": None}
    assert status["model"]["ready"] is True


def test_complete_json_has_the_documented_fields(copilot, project):
    answer = copilot.json("complete", "src/app.py:5")
    assert set(answer) - {"reason"} == COMPLETE_FIELDS
    assert (not answer["completion"].strip()) is ("reason" in answer)
    assert (answer["file"], answer["line"], answer["column"]) == ("src/app.py", 5, 23)
    assert answer["index"] == {"tree": project.git("rev-parse", "HEAD^{tree}"), "fresh": True}
    assert answer["finish_reason"] in {"stop", "length", "trimmed"}
    assert set(answer["timings_ms"]) == {"retrieve", "prefill", "decode", "total"}
    (snippet,) = answer["snippets"]
    assert set(snippet) == {
        "path", "blob", "start_line", "end_line", "score", "sources", "tokens",
    }  # fmt: skip
    assert snippet["path"] == "src/util.py" and "definition" in snippet["sources"]
    assert copilot.json("complete", "src/app.py:5", "--no-retrieval")["snippets"] == []


def test_uncommitted_text_comes_from_stdin(copilot):
    text = "import os\nvalue = os."
    answer = copilot.json("complete", "src/not_saved.py:2", "--stdin", stdin=text)
    assert (answer["file"], answer["column"]) == ("src/not_saved.py", 12)


def test_write_keeps_line_ends_and_the_rest_of_the_file(copilot, project):
    file = project.path / "src" / "crlf.py"
    file.write_bytes(b"a = 1\r\nb = \r\nc = 3\r\n")
    file.chmod(0o755)
    completion = copilot.ok("complete", "src/crlf.py:2", "--write").removesuffix("\n")
    assert file.read_bytes() == b"a = 1\r\nb = " + completion.encode() + b"\r\nc = 3\r\n"
    assert file.stat().st_mode & 0o777 == 0o755


def test_complete_at_an_older_commit_answers_as_then(copilot, project):
    old = project.git("rev-parse", "HEAD")
    before = copilot.json("complete", "src/app.py:5", "--no-server")
    project.commit({"src/util.py": "def gamma():\n    pass\n", "src/app.py": "x\n"})
    then = copilot.json("complete", "src/app.py:5", "--at", old, "--no-server")
    for key in ("id", "completion", "index", "snippets", "prompt_tokens"):
        assert then[key] == before[key], key


def test_candidates_are_reproducible_and_start_with_the_single_answer(copilot):
    only = copilot.json("complete", "src/app.py:5")["completion"]
    first = copilot.json("complete", "src/app.py:5", "-n", "3")
    assert first["candidates"][0] == first["completion"] == only
    assert copilot.json("complete", "src/app.py:5", "-n", "3")["candidates"] == first["candidates"]


def test_explain_is_printed_to_stderr_and_added_to_json(copilot):
    done = copilot.run("complete", "src/app.py:5", "--explain", "--no-server")
    assert b"snippet   src/util.py" in done.stderr
    assert done.stdout == copilot.run("complete", "src/app.py:5", "--no-server").stdout
    assert "prompt" in copilot.json("complete", "src/app.py:5", "--explain")["explain"]


def test_commands_work_from_subfolders_and_linked_worktrees(copilot, project, tmp_path):
    below = copilot.json("complete", "app.py:5", cwd=project.path / "src")
    assert below["file"] == "src/app.py"
    project.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = copilot.json("complete", "src/app.py:5", cwd=tmp_path / "linked")
    assert linked["index"]["fresh"] and linked["completion"] == below["completion"]


def test_commits_made_without_hooks_are_noticed(copilot, project):
    project.commit({"src/more.py": "def unseen():\n    return 0\n"}, GIT_DIR=".git")
    project.git("reset", "-q", "--hard", "HEAD~1")
    answer = copilot.json("complete", "src/app.py:5")
    assert answer["index"] == {"tree": project.git("rev-parse", "HEAD^{tree}"), "fresh": True}


def test_the_outcome_of_a_completion_is_derived_from_its_commit(copilot, project):
    later = f"{int(time.time()) + 60} +0000"
    text = "from util import alpha\n\n\ndef beta(name):\n    value = {0}\n    return alpha(name)\n"
    answer = copilot.json("complete", "src/app.py:5", "--stdin", stdin=text.format(""))
    assert answer["completion"].strip()
    said = copilot.json("feedback", answer["id"], "rejected")  # at once: it may still be recorded
    assert said == {"id": answer["id"], "outcome": "rejected", "path": "src/app.py"}
    assert copilot.json("feedback")["rejected"] == 1
    oid = project.commit({"src/app.py": text.format("alpha(2)")}, GIT_COMMITTER_DATE=later)
    copilot.ok("status", "--wait", "--timeout", "60")
    with Database(project.git_dir / "copilot" / DATABASE_NAME) as db:
        holes = [hole for hole in load_holes(db, [oid]) if hole.kind == "completion"]
        assert [feedback_weights(db, [hole.id]) for hole in holes] == [{holes[0].id: 1.5}]
    blob = project.git("show", f"{oid}:src/app.py").encode()
    assert blob[holes[0].start : holes[0].end] == b"alpha(2)"
    copilot.ok("index", "--rebuild")
    assert copilot.json("feedback")["rejected"] == 1
    with Database(project.git_dir / "copilot" / DATABASE_NAME) as db:
        again = [hole for hole in load_holes(db, [oid]) if hole.kind == "completion"]
        assert [feedback_weights(db, [hole.id]) for hole in again] == [{again[0].id: 1.5}]
    assert_one_line(
        copilot.run("feedback", "cmpl-none", "accepted"), 1, "cmpl-none", "complete --json"
    )


def test_stats_tell_what_a_commit_has_of_an_accepted_completion(copilot, project):
    later = f"{int(time.time()) + 60} +0000"
    text = "from util import alpha\n\n\ndef beta(name):\n    value = {0}\n    return alpha(name)\n"
    answer = copilot.json("complete", "src/app.py:5", "--stdin", stdin=text.format(""))
    copilot.json("feedback", answer["id"], "accepted")
    length = len(answer["completion"])
    figures = copilot.json("stats")
    assert (figures["shown"], figures["accepted"]) == (1, 1)
    assert figures["characters"]["accepted"] == length
    assert figures["by_language"][0]["language"] == "python" and figures["latency_ms"]["p50"] > 0
    project.commit({"src/app.py": text.format(answer["completion"])}, GIT_COMMITTER_DATE=later)
    copilot.ok("status", "--wait", "--timeout", "60")
    retained = copilot.json("stats")["characters"]["at_commit"]
    assert retained == {"characters": length, "of": length, "share": 1.0}
    assert b"100%" in copilot.run("stats").stdout


def test_uninstall_restores_and_purge_removes(copilot, project):
    copilot.ok("uninstall", "--purge")
    hooks = [p for p in (project.git_dir / "hooks").iterdir() if not p.name.endswith(".sample")]
    assert hooks == [] and not (project.git_dir / "copilot").exists()
    project.commit({"z.py": "z = 1\n"})
    assert not (project.git_dir / "copilot").exists()


def test_help_and_version_are_printed(bare_commands):
    assert "complete" in bare_commands.ok("-h")
    assert bare_commands.ok("--version").startswith("git-copilot")
    assert "FILE:LINE" in bare_commands.ok("complete", "-h")


@pytest.mark.parametrize("group", [[], ["model"], ["adapter"]])
def test_a_command_group_alone_prints_its_help_unescaped(bare_commands, group):
    done = bare_commands.run(*group)
    shown = (done.stdout + done.stderr).decode()
    assert shown == bare_commands.ok(*group, "-h") and shown.count("\n") > 5
    assert done.returncode in (0, 2)  # as click has it: 2 since version 8.2


def test_non_utf8_file_names_work_in_every_command(copilot, project):
    (project.path / os.fsdecode(b"caf\xe9.py")).write_text(
        "def walrus_area(value):\n    return value\n"
    )
    project.commit({"src/main.py": "def main():\n    x = walrus_area(3)\n    \n"})
    copilot.ok("status", "--wait", "--timeout", "60")
    answer = copilot.json("complete", "src/main.py:3", "--no-server")
    assert answer["snippets"][0]["path"].startswith("caf")
    assert b"caf\xe9.py:1" in copilot.run("search", "walrus_area").stdout


def test_git_options_for_settings_and_repository_are_obeyed(copilot, project, tmp_path):
    git = ["git", "-c", "copilot.maxTokens=nonsense", "copilot", "complete", "src/app.py:5"]
    done = subprocess.run(git, cwd=project.path, capture_output=True, check=False)
    assert_one_line(done, 1, "copilot.maxTokens")
    named = copilot.json("search", "alpha", cwd=tmp_path, GIT_DIR=str(project.git_dir))
    assert named["hits"]


def test_complete_at_an_older_commit_uses_its_folders_and_file_kinds(copilot, project):
    project.git("mv", "src", "moved")
    project.commit({"logo.png": b"\x89PNG\0\0"})
    answer = copilot.json("complete", "src/app.py:5", "--at", "HEAD~1", "--no-server")
    assert answer["file"] == "src/app.py"
    assert_one_line(copilot.run("complete", "moved:1", "--at", "HEAD"), 1, "does not exist in HEAD")
    assert_one_line(copilot.run("complete", "logo.png:1", "--at", "HEAD"), 1, "binary")
