"""What a user does, as a user does it: the whole loop, its JSON, and its mistakes."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time

import pytest
from gitrepo import GitRepo

from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.feedback import feedback_weights
from git_copilot.index.mine import load_holes

COMPLETE_FIELDS = {
    "id", "completion", "file", "line", "column", "model", "adapter", "finish_reason", "index",
    "snippets", "prompt_tokens", "cached_tokens", "completion_tokens", "timings_ms",
}  # fmt: skip


def one_line(done, code, *words):
    """The command failed as promised: exit code, one line, nothing on stdout."""
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert text.count("\n") == 1 and text.startswith("git-copilot: "), text
    assert "Traceback" not in text and done.stdout == b""
    for word in words:
        assert word in text
    return text


def test_init_twice_changes_nothing(copilot, project):
    before = copilot.json("status")
    hooks = {p.name: p.read_bytes() for p in (project.git_dir / "hooks").iterdir()}
    out = copilot.ok("init")
    assert "0 new files, 0 new chunks, 0 embedded" in out and "0 new commits" in out
    assert copilot.json("status") == before
    assert {p.name: p.read_bytes() for p in (project.git_dir / "hooks").iterdir()} == hooks
    assert project.git("status", "--porcelain") == ""


def test_a_plain_commit_is_searchable_after_waiting(copilot, project):
    project.commit({"src/fresh.py": "def entirely_new_helper():\n    return 3\n"})
    copilot.ok("status", "--wait", "--timeout", "60")
    (best, *_) = copilot.json("search", "entirely_new_helper")["hits"]
    assert best["path"] == "src/fresh.py"
    assert set(best) == {"path", "blob", "start_line", "end_line", "score", "sources"}
    assert copilot.json("corpus")["commits"] == 3


def test_status_carries_the_contract(copilot, project):
    status = copilot.json("status")
    counted = {"files", "chunks", "vectors", "secrets"}
    assert set(status["index"]) == {"tree", "head_tree", "fresh", *counted}
    assert status["index"]["tree"] == project.git("rev-parse", "HEAD^{tree}")
    assert status["index"]["fresh"] is True
    assert status["index"]["chunks"] == status["index"]["vectors"] > 0
    assert set(status["corpus"]) == {"commits", "holes", "authors"}
    assert status["adapters"] == {"current": None, "count": 0}
    assert status["queue"]["pending"] == 0 and status["queue"]["running"] is None
    assert status["hooks"]["via"] == "native"
    assert set(status["hooks"]["installed"]) == {
        "post-commit", "post-merge", "post-checkout", "post-rewrite",
    }  # fmt: skip
    assert status["server"] == {"running": False, "pid": None}
    assert status["model"]["ready"] is True


def test_complete_carries_the_contract(copilot, project):
    answer = copilot.json("complete", "src/app.py:5")
    assert set(answer) == COMPLETE_FIELDS
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


def test_the_first_call_starts_a_server_and_says_so_once(copilot):
    first = copilot.run("complete", "src/app.py:5")
    assert b"started a server" in first.stderr and first.returncode == 0
    second = copilot.run("complete", "src/app.py:5")
    assert second.stderr == b"" and second.stdout == first.stdout
    facts = copilot.json("serve", "--status")
    assert facts["running"] and facts["requests"] == 2
    assert copilot.json("complete", "src/app.py:5")["cached_tokens"] > 0
    assert copilot.run("complete", "src/app.py:5", "--no-server").stdout == first.stdout
    copilot.ok("serve", "--stop")
    assert copilot.json("serve", "--status")["running"] is False


def test_a_killed_server_is_replaced(copilot):
    copilot.ok("complete", "src/app.py:5")
    os.kill(copilot.json("serve", "--status")["pid"], signal.SIGKILL)
    time.sleep(0.2)
    done = copilot.run("complete", "src/app.py:5")
    assert done.returncode == 0 and b"started a server" in done.stderr


def test_a_stuck_server_is_told_and_ended(copilot):
    copilot.ok("complete", "src/app.py:5")
    pid = copilot.json("serve", "--status")["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert copilot.json("status")["server"] == {"running": True, "pid": pid, "answers": False}
    assert f"pid {pid}, does not answer: `git copilot serve --stop`" in copilot.ok("status")
    assert copilot.json("serve", "--status") == {"running": True, "pid": pid, "answers": False}
    assert f"server {pid} does not answer within 1 s" in copilot.ok("serve", "--status")
    one_line(copilot.run("serve"), 1, f"server {pid}", "serve --stop")
    done = copilot.run("serve", "--stop")
    assert one_line(done, 0, f"server {pid} did not stop when asked and was ended (SIGTERM)")
    done = copilot.run("complete", "src/app.py:5")
    assert done.returncode == 0 and b"started a server" in done.stderr
    pid = copilot.json("serve", "--status")["pid"]
    assert one_line(copilot.run("serve", "--stop"), 0, f"server {pid} stopped")
    assert one_line(copilot.run("serve", "--stop"), 0, "no server runs")


def test_of_calls_that_start_servers_at_once_one_says_which_stays(copilot, project):
    calls = [
        subprocess.Popen(
            ["git", "copilot", "complete", "src/app.py:5"],
            cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    ended = [(call.communicate(timeout=100), call.returncode) for call in calls]
    assert len({out for (out, _), _ in ended}) == 1 and {code for _, code in ended} == {0}
    named = re.findall(rb"started a server \(pid (\d+)\)", b"".join(err for (_, err), _ in ended))
    assert [int(pid) for pid in named] == [copilot.json("serve", "--status")["pid"]]


def test_the_server_answers_mistakes_like_the_command(copilot, tmp_path):
    copilot.ok("complete", "src/app.py:5")
    one_line(copilot.run("complete", "src/app.py:99"), 1, "has 6 lines")
    one_line(copilot.run("complete", "src/app.py:5", "-n", "0"), 2)
    one_line(copilot.run("complete", "x.py:1", cwd=tmp_path), 1, "does not exist")


def test_server_can_be_declined(copilot, project):
    project.git("config", "copilot.server", "false")
    done = copilot.run("complete", "src/app.py:5")
    assert done.returncode == 0 and done.stderr == b""
    assert copilot.json("serve", "--status")["running"] is False


def test_uncommitted_text_comes_from_stdin(copilot):
    text = "import os\nvalue = os."
    answer = copilot.json("complete", "src/not_saved.py:2", "--stdin", stdin=text)
    assert (answer["file"], answer["column"]) == ("src/not_saved.py", 12)


def test_write_keeps_line_ends_and_everything_else(copilot, project):
    file = project.path / "src" / "crlf.py"
    file.write_bytes(b"a = 1\r\nb = \r\nc = 3\r\n")
    file.chmod(0o755)
    completion = copilot.ok("complete", "src/crlf.py:2", "--write").removesuffix("\n")
    assert file.read_bytes() == b"a = 1\r\nb = " + completion.encode() + b"\r\nc = 3\r\n"
    assert file.stat().st_mode & 0o777 == 0o755


def test_an_older_commit_answers_as_it_would_have(copilot, project):
    old = project.git("rev-parse", "HEAD")
    before = copilot.json("complete", "src/app.py:5", "--no-server")
    project.commit({"src/util.py": "def gamma():\n    pass\n", "src/app.py": "x\n"})
    then = copilot.json("complete", "src/app.py:5", "--at", old, "--no-server")
    for key in ("id", "completion", "index", "snippets", "prompt_tokens"):
        assert then[key] == before[key], key


def test_candidates_are_reproducible_and_the_first_is_the_only_one(copilot):
    only = copilot.json("complete", "src/app.py:5")["completion"]
    first = copilot.json("complete", "src/app.py:5", "-n", "3")
    assert first["candidates"][0] == first["completion"] == only
    assert copilot.json("complete", "src/app.py:5", "-n", "3")["candidates"] == first["candidates"]


def test_explain_goes_to_stderr_and_into_json(copilot):
    done = copilot.run("complete", "src/app.py:5", "--explain", "--no-server")
    assert b"snippet   src/util.py" in done.stderr
    assert done.stdout == copilot.run("complete", "src/app.py:5", "--no-server").stdout
    assert "prompt" in copilot.json("complete", "src/app.py:5", "--explain")["explain"]


def test_from_a_folder_below_and_from_a_linked_worktree(copilot, project, tmp_path):
    below = copilot.json("complete", "app.py:5", cwd=project.path / "src")
    assert below["file"] == "src/app.py"
    project.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = copilot.json("complete", "src/app.py:5", cwd=tmp_path / "linked")
    assert linked["index"]["fresh"] and linked["completion"] == below["completion"]


def test_changes_without_hooks_are_noticed(copilot, project):
    project.commit({"src/more.py": "def unseen():\n    return 0\n"}, GIT_DIR=".git")
    project.git("reset", "-q", "--hard", "HEAD~1")
    answer = copilot.json("complete", "src/app.py:5")
    assert answer["index"] == {"tree": project.git("rev-parse", "HEAD^{tree}"), "fresh": True}


def test_what_became_of_a_completion_is_learnt_from_its_commit(copilot, project):
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
    one_line(copilot.run("feedback", "cmpl-none", "accepted"), 1, "cmpl-none", "complete --json")


MISTAKES = [
    (["complete", "nope.py:1"], 1, ["does not exist"]),
    (["complete", "src/app.py:1:2:3"], 1, ["does not exist", "FILE:LINE:COL"]),
    (["complete", "src/app.py:99"], 1, ["has 6 lines", "src/app.py:6"]),
    (["complete", "src/app.py:1:99"], 1, ["no column 99"]),
    (["complete", "src:1"], 1, ["folder"]),
    (["complete", "logo.png:1"], 1, ["binary"]),
    (["complete", "src/app.py"], 1, ["names no line"]),
    (["complete", "src/app.py:0"], 1, ["start at 1"]),
    (["complete", "src/app.py:1", "--model", "nonsense"], 1, ["no model"]),
    (["complete", "src/app.py:1", "--adapter", "nonsense"], 1, ["no adapter"]),
    (["complete", "src/app.py:1", "--at", "nonsense"], 1, ["nonsense"]),
    (["complete", "src/app.py:1", "--write", "--stdin"], 2, ["--write"]),
    (["complete"], 2, ["FILE:LINE"]),
    (["complete", "src/app.py:1", "--nonsense"], 2, ["--nonsense"]),
    (["nonsense"], 2, ["no command"]),
    (["model", "use", "nonsense"], 1, ["no model"]),
    (["model", "use", "qwen2.5-coder-0.5b"], 1, ["--pull"]),
    (["model", "use", "minilm-static"], 1, ["embedder"]),
    (["adapter", "use", "nonsense"], 1, ["adapter list"]),
    (["adapter", "rollback"], 1, ["refresh"]),
]


def test_mistakes_are_one_line(copilot, project):
    (project.path / "logo.png").write_bytes(b"\x89PNG\0\0\0")
    for args, code, words in MISTAKES:
        one_line(copilot.run(*args), code, *words)
    assert copilot.json("serve", "--status")["running"] is False, "no server for a mistake"


@pytest.mark.parametrize("command", [["complete", "a.py:1"], ["search", "x"], ["status"], ["index"],
                                     ["refresh"], ["corpus"], ["eval"]])  # fmt: skip
def test_before_init(project, bare_commands, command):
    (project.path / "a.py").write_text("x\n")
    one_line(bare_commands.run(*command, cwd=project.path), 1, "git copilot init")


@pytest.mark.parametrize("command", [["init"], ["search", "x"], ["status"], ["install"]])
def test_outside_a_repository(bare_commands, command):
    one_line(bare_commands.run(*command), 1, "not in a Git repository")


def test_an_empty_repository(bare_commands, tmp_path):
    repo = GitRepo.init(tmp_path / "empty")
    out = bare_commands.ok("init", cwd=repo.path)
    assert "0 new files" in out and "0 holes" in out
    (repo.path / "a.py").write_text("x = \n")
    answer = bare_commands.json("complete", "a.py:1", "--no-server", cwd=repo.path)
    assert answer["snippets"] == []
    assert bare_commands.json("status", cwd=repo.path)["index"]["fresh"] is True


def test_a_bare_repository(bare_commands, project, tmp_path):
    project.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    out = bare_commands.ok("init", cwd=tmp_path / "bare.git")
    assert "bare" in out
    hits = bare_commands.json("search", "alpha", cwd=tmp_path / "bare.git")["hits"]
    assert hits[0]["path"] == "src/util.py"
    done = bare_commands.run("complete", "src/app.py:1", cwd=tmp_path / "bare.git")
    one_line(done, 1, "bare repository")


def test_shallow_and_detached(bare_commands, project, tmp_path):
    project.git("clone", "-q", "--depth", "1", f"file://{project.path}", str(tmp_path / "shallow"))
    project.git("-C", str(tmp_path / "shallow"), "checkout", "-q", "--detach")
    out = bare_commands.ok("init", cwd=tmp_path / "shallow")
    assert "0 holes of 1 commits" in out
    answer = bare_commands.json("complete", "src/app.py:5", "--no-server", cwd=tmp_path / "shallow")
    assert answer["index"]["fresh"] is True


def test_a_corrupt_database_is_told_and_rebuilt_on_request(copilot, project):
    state = project.git_dir / "copilot"
    for name in ("copilot.db-wal", "copilot.db-shm"):
        (state / name).unlink(missing_ok=True)
    (state / "copilot.db").write_bytes(b"garbage" * 1000)
    for command in (["complete", "src/app.py:5"], ["status"], ["search", "alpha"]):
        one_line(copilot.run(*command), 1, "index --rebuild")
    report = copilot.json("index", "--rebuild")
    assert report["blobs_added"] == 3 and report["chunks_embedded"] == report["chunks_added"] > 0
    assert copilot.json("index") | {"seconds": 0} == {
        "tree": project.git("rev-parse", "HEAD^{tree}"), "blobs_added": 0, "blobs_removed": 0,
        "chunks_added": 0, "chunks_embedded": 0, "seconds": 0,
    }  # fmt: skip


def test_uninstall_restores_and_purge_removes(copilot, project):
    copilot.ok("uninstall", "--purge")
    hooks = [p for p in (project.git_dir / "hooks").iterdir() if not p.name.endswith(".sample")]
    assert hooks == [] and not (project.git_dir / "copilot").exists()
    project.commit({"z.py": "z = 1\n"})
    assert not (project.git_dir / "copilot").exists()


def test_help_and_version(bare_commands):
    assert "complete" in bare_commands.ok("-h")
    assert bare_commands.ok("--version").startswith("git-copilot")
    assert "FILE:LINE" in bare_commands.ok("complete", "-h")


@pytest.mark.parametrize("group", [[], ["model"], ["adapter"]])
def test_a_group_without_a_command_shows_its_help_as_it_is(bare_commands, group):
    done = bare_commands.run(*group)
    shown = (done.stdout + done.stderr).decode()
    assert shown == bare_commands.ok(*group, "-h") and shown.count("\n") > 5
    assert done.returncode in (0, 2)  # as click has it: 2 since version 8.2


REFRESH_FIELDS = {
    "candidate", "incumbent", "base_model", "commits", "holes", "arms", "delta_em", "ci95",
    "p_value", "regression_guard", "promoted", "reason", "seed", "settings", "seconds",
}  # fmt: skip


def write_history(project, commits=16):
    """Commits that add functions, each of words of its own: enough holes to train on and to judge
    by, and none a near copy of another."""
    for i in range(commits):
        rng = random.Random(i)
        words = ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(60)]
        body = "".join(
            f"def {w[0]}({w[1]}, {w[2]}):\n    {w[3]} = {w[4]}.{w[5]}({w[1]}, {w[6]})\n"
            f"    {w[7]}[{w[3]}] = {w[8]} - {w[2]}\n    return {w[9]}({w[3]}, {w[7]})\n\n\n"
            for w in (words[k : k + 10] for k in range(0, 60, 10))
        )
        project.commit({f"src/m{i}.py": body})


def test_a_refresh_starts_by_itself_after_enough_commits(copilot, project):
    project.git("config", "copilot.refreshCommits", "10")
    project.git("config", "copilot.refreshHoles", "20")
    write_history(project, 16)
    copilot.ok("status", "--wait", "--timeout", "60")
    deadline = time.monotonic() + 120
    while not copilot.json("adapter", "list"):
        log = project.git_dir / "copilot" / "log" / "refresh.log"
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "never started"
        time.sleep(1)
    (adapter,) = copilot.json("adapter", "list")
    assert adapter["commits"]["held_out"][1] in project.git("rev-list", "HEAD")


def test_refresh_carries_the_contract_and_its_exit_code_tells(copilot, project):
    write_history(project)
    copilot.ok("status", "--wait", "--timeout", "60")
    done = copilot.run("refresh", "--json", "--holes", "30", "--held-out", "24")
    evidence = json.loads(done.stdout)
    assert set(evidence) >= REFRESH_FIELDS
    assert done.returncode == (0 if evidence["promoted"] else 4)
    assert set(evidence["arms"]) == {"base", "incumbent", "candidate"}
    for arm in evidence["arms"].values():
        assert {"em", "es", "nll"} <= set(arm)
    assert set(evidence["commits"]) == {"train", "held_out"}
    assert set(evidence["holes"]) == {"train", "held_out"}
    (listed,) = copilot.json("adapter", "list")
    assert listed["id"] == evidence["candidate"]
    assert listed["current"] is evidence["promoted"]
    copilot.ok("adapter", "use", listed["id"])
    answer = copilot.json("complete", "src/app.py:5", "--no-server")
    assert answer["adapter"] == listed["id"]
    assert copilot.json("complete", "src/app.py:5", "--adapter", "none")["adapter"] is None
    weights = project.git_dir / "copilot" / "adapters" / listed["id"] / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    done = copilot.run("complete", "src/app.py:5", "--json")
    assert json.loads(done.stdout)["adapter"] is None
    assert b"cut short" in done.stderr and b"Traceback" not in done.stderr


def test_refresh_with_too_little_to_learn_from(copilot):
    one_line(copilot.run("refresh"), 1, "holes")


def test_a_hook_of_another_manager_hands_over_to_the_recorded_interpreter(project, bare_commands):
    """As pre-commit runs it: no hook of ours in the repository, only our entry point."""
    bare_commands.path = project.path
    bare_commands.ok("init", "--no-hooks")
    project.commit({"src/fresh.py": "def entirely_new_helper():\n    return 3\n"})
    subprocess.run(
        ["git-copilot-hook"], cwd=project.path, check=True, env={**os.environ, "PRE_COMMIT": "1"}
    )
    status = bare_commands.json("status", "--wait", "--timeout", "60")
    assert status["index"]["fresh"] and status["queue"]["pending"] == 0
    assert status["hooks"]["installed"] == []


def test_waiting_says_so_when_no_worker_can_be_started(copilot, project):
    (project.git_dir / "copilot" / "python").unlink()
    with (project.git_dir / "copilot" / "spool" / "events").open("a") as spool:
        spool.write("post-commit\t1700000000\t.\t\n")
    done = copilot.run("status", "--wait", "--timeout", "60")
    assert done.returncode == 1 and b"git copilot install" in done.stderr


def test_a_file_name_that_is_not_utf8_harms_nobody(copilot, project):
    (project.path / os.fsdecode(b"caf\xe9.py")).write_text(
        "def walrus_area(value):\n    return value\n"
    )
    project.commit({"src/main.py": "def main():\n    x = walrus_area(3)\n    \n"})
    copilot.ok("status", "--wait", "--timeout", "60")
    answer = copilot.json("complete", "src/main.py:3", "--no-server")
    assert answer["snippets"][0]["path"].startswith("caf")
    assert b"caf\xe9.py:1" in copilot.run("search", "walrus_area").stdout


def test_settings_and_repositories_named_on_the_command_line_count(copilot, project, tmp_path):
    git = ["git", "-c", "copilot.maxTokens=nonsense", "copilot", "complete", "src/app.py:5"]
    done = subprocess.run(git, cwd=project.path, capture_output=True, check=False)
    one_line(done, 1, "copilot.maxTokens")
    named = copilot.json("search", "alpha", cwd=tmp_path, GIT_DIR=str(project.git_dir))
    assert named["hits"]


def test_an_older_commit_has_folders_and_kinds_of_its_own(copilot, project):
    project.git("mv", "src", "moved")
    project.commit({"logo.png": b"\x89PNG\0\0"})
    answer = copilot.json("complete", "src/app.py:5", "--at", "HEAD~1", "--no-server")
    assert answer["file"] == "src/app.py"
    one_line(copilot.run("complete", "moved:1", "--at", "HEAD"), 1, "no file")
    one_line(copilot.run("complete", "logo.png:1", "--at", "HEAD"), 1, "binary")


def test_a_pipe_is_refused_and_blocks_nobody(copilot, project):
    os.mkfifo(project.path / "pipe.py")
    one_line(copilot.run("complete", "pipe.py:1"), 1, "no regular file")


def test_closed_streams_and_gone_folders_are_no_tracebacks(copilot, project, tmp_path):
    for command in ("git-copilot status <&-", "git-copilot status >&- 2>&-"):
        assert subprocess.run(["sh", "-c", command], cwd=project.path, check=False).returncode == 0
    script = "mkdir gone && cd gone && rmdir ../gone && git-copilot status"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    one_line(done, 1, "folder is gone")
