"""The start of the language server."""

from __future__ import annotations

import sys

import pytest

from git_copilot.assistant import entry
from git_copilot.assistant.lsp import main
from git_copilot.index.core.errors import USER_PROBLEM


@pytest.mark.parametrize(
    ("argv", "starts"),
    [
        (["lsp"], True),
        (["lsp", "--stdio", "--clientProcessId=7"], True),
        (["--stdio"], True),
        (["lsp", "-h"], False),
        (["lsp", "--port", "7"], False),
        (["status", "--stdio"], False),
        (["--version"], False),
        ([], False),
    ],
)
def test_what_starts_the_language_server(argv, starts):
    assert entry._starts_language_server(argv) is starts


def test_a_missing_library_is_named_with_the_remedy(monkeypatch, capfd):
    for name in [name for name in sys.modules if name.startswith("git_copilot.assistant.lsp.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pygls", None)
    monkeypatch.setitem(sys.modules, "pygls.lsp.server", None)
    monkeypatch.setitem(sys.modules, "pygls.exceptions", None)
    assert main.run_for_editor(["lsp"]) == USER_PROBLEM
    told = capfd.readouterr()
    assert told.out == "" and told.err.startswith("git-copilot: the language server needs pygls")
    assert told.err.endswith("install git-copilot[local]\n")
