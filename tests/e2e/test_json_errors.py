"""With `--json`, stdout has exactly one document, also on errors."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

FAILURES = [
    (["complete", "nope.py:1"], 1, "does not exist"),
    (["complete", "src/app.py:1", "--model", "nonsense"], 1, "unknown model"),
    (["complete", "src/app.py:1", "--adapter", "nonsense"], 1, "no adapter"),
    (["complete", "src/app.py:1", "--write", "--stdin"], 2, "--write"),
    (["complete", "src/app.py:1", "--nonsense"], 2, "--nonsense"),
    (["complete"], 2, "FILE:LINE"),
    (["search", ""], 2, "empty"),
    (["search", " \t"], 2, "empty"),
    (["search", "x", "-n", "0"], 2, "-n"),
    (["feedback", "nonsense", "accepted"], 1, "nonsense"),
    (["corpus", "explain", "99999"], 1, "99999"),
    (["forget", "nonsense"], 1, "nonsense"),
    (["forget"], 2, "--list"),
    (["adapter", "nonsense"], 2, "nonsense"),
    (["nonsense"], 2, "no command"),
]


def one_document(done, code, word):
    error = json.loads(done.stdout)["error"]
    assert done.returncode == code == error["exit_code"], (done, error)
    assert word in error["message"] + error["hint"] and error["message"]
    line = done.stderr.decode().splitlines()[-1]
    assert line == "git-copilot: " + "; ".join(filter(None, (error["message"], error["hint"])))
    return error


@pytest.mark.parametrize("server", [False, True])
def test_failures_are_json_objects(copilot, server):
    if server:
        copilot.ok("serve")
    for args, code, word in FAILURES:
        done = copilot.run(*args, "--json", GIT_COPILOT_SERVER=str(int(server)))
        one_document(done, code, word)


def test_failures_outside_a_repository_and_before_init_are_json_objects(bare_commands, project):
    one_document(bare_commands.run("status", "--json"), 1, "not in a Git repository")
    for command in ("status", "corpus", "refresh", "eval", "index"):
        error = one_document(bare_commands.run(command, "--json", cwd=project.path), 1, "init")
        assert error["hint"]


def test_arguments_after_two_dashes_are_not_options(copilot):
    done = copilot.run("complete", "--", "--json:1")
    assert done.returncode == 1 and done.stdout == b""


def test_an_internal_error_names_its_log(copilot, project, tmp_path):
    """The error is planted in the command's module, in another process."""
    code = (
        "import sys; from git_copilot.assistant.diagnostics import status;"
        "status.read_status = lambda repo: {}['bug'];"
        "from git_copilot.assistant.cli.main import run; sys.exit(run(['status', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project.path, capture_output=True)
    error = one_document(done, 3, "KeyError")
    assert error["log"] in error["hint"] and "KeyError" in open(error["log"]).read()  # noqa: PTH123, SIM115


def test_a_full_output_device_is_reported_on_stderr_only(copilot, project):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            ["git-copilot", "status", "--json"],
            cwd=project.path,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 1 and b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def interrupted(*args, **more):
    raise KeyboardInterrupt


@pytest.mark.parametrize("early", [False, True])
def test_ctrl_c_gives_a_json_object(environment, monkeypatch, capsysbinary, early):
    """During a command, and during imports."""
    from git_copilot.assistant import entry
    from git_copilot.assistant.cli import main
    from git_copilot.assistant.client import main as client

    monkeypatch.setattr(signal, "signal", lambda *args: None)
    monkeypatch.setattr(sys, "argv", ["git-copilot", "status", "--json"])
    monkeypatch.setattr(*(client, "ask_for") if early else (main, "dispatch"), interrupted)
    assert entry.main() == 130
    out, err = capsysbinary.readouterr()
    error = json.loads(out)["error"]
    assert error["exit_code"] == 130 and err.decode() == f"git-copilot: {error['message']}\n"


def test_a_deleted_working_folder_gives_a_json_object(copilot, tmp_path):
    script = "mkdir gone && cd gone && rmdir ../gone && git-copilot status --json"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True)
    one_document(done, 1, "folder was deleted")


def test_a_stuck_server_gives_a_json_object(copilot, monkeypatch, capsysbinary):
    from git_copilot.assistant.client import main, transport

    def silent(*args, **more):
        raise transport.ServerSilent(20)

    monkeypatch.setattr(transport, "connect", silent)
    monkeypatch.setattr(sys, "argv", ["git-copilot", "search", "x", "--json"])
    assert main.ask_for(sys.argv[1:])[0] == 1
    out, err = capsysbinary.readouterr()
    assert json.loads(out)["error"]["hint"] in err.decode()
