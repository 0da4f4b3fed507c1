"""The language server with the real server behind it, which it starts itself."""

from __future__ import annotations

import os
import signal

import pytest

from git_copilot.assistant.client import transport
from tests.e2e.test_default_model import CALLER, HELPER
from tests.support.commands import BIN, REAL_CACHE, REAL_HOME, Copilot
from tests.support.stdio_client import StdioClient, eventually

INLINE = "textDocument/inlineCompletion"
TEXT = "from util import alpha\n\n\ndef gamma(value):\n    return \n"


@pytest.fixture
def editor(project, runtime):
    client = StdioClient([str(BIN / "git-copilot"), "lsp", "--stdio"], cwd="/")
    client.initialize(folders=[project.path])
    yield client
    assert client.close() == 0


def ask(editor, uri):
    """Ask by hand, so that no setting keeps the answer back."""
    return editor.call(INLINE, editor.inline(uri, 4, 11, kind=1))["items"]


def server_pid():
    return transport.ask({"op": "status"}, 10)["pid"]


def test_the_first_request_starts_a_server_and_a_killed_one_is_replaced(copilot, editor, project):
    assert transport.connect() is None
    uri = (project.path / "src" / "new.py").as_uri()
    editor.open(uri, TEXT)
    ask(editor, uri)
    first = server_pid()
    os.kill(first, signal.SIGKILL)
    ask(editor, uri)
    assert server_pid() != first
    assert editor.told("window/showMessage") == []


@pytest.fixture
def default_model(repo, runtime, monkeypatch):
    """Commands with the user's real model cache."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_COPILOT_CACHE", REAL_CACHE)
    monkeypatch.setenv("HOME", REAL_HOME)  # of pip's configuration
    commands = Copilot(repo.path)
    yield commands
    commands.run("serve", "--stop")


@pytest.mark.model
def test_a_function_of_an_unsaved_buffer_is_called_and_the_acceptance_kept(repo, default_model):
    repo.commit({"app.py": "import sys\n\nprint(sys.argv)\n"})
    default_model.ok("init")
    editor = StdioClient([str(BIN / "git-copilot"), "lsp"], cwd="/")
    try:
        editor.initialize()
        editor.open((repo.path / "elapsed.py").as_uri(), HELPER)
        uri = (repo.path / "report.py").as_uri()
        editor.open(uri, CALLER)
        (item,) = editor.call(INLINE, editor.inline(uri, 8, len("    took = humanize")))["items"]
        assert item["insertText"].startswith("_elapsed(seconds")
        editor.call("workspace/executeCommand", item["command"])
        eventually(lambda: default_model.json("feedback")["accepted"] == 1)
    finally:
        assert editor.close() == 0


def test_a_repository_without_an_index_names_the_remedy(bare_commands, editor, project):
    uri = (project.path / "src" / "new.py").as_uri()
    editor.open(uri, TEXT)
    assert ask(editor, uri) == [] == ask(editor, uri)
    (told,) = editor.told("window/showMessage")
    assert "git copilot init" in told["message"]
    bare_commands.run("serve", "--stop")
