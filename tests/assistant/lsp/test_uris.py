"""URIs of documents."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_copilot.assistant.lsp.uris import file_path, is_cell, uri_key


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///w/a.py", "/w/a.py"),
        ("file://localhost/w/a.py", "/w/a.py"),
        ("file:///w/%C3%A9%20%23x.py", "/w/é #x.py"),
        ("file:///w/é.py", "/w/é.py"),
        ("file:///w/a;b.py", "/w/a;b.py"),
        ("file:///w/x/../a.py", "/w/a.py"),
        ("vscode-notebook-cell:/w/a.ipynb#W0sZmlsZQ%3D%3D", "/w/a.ipynb"),
    ],
)
def test_files_of_this_machine(uri, path):
    assert file_path(uri) == Path(path)


def test_a_name_that_is_no_utf8_keeps_its_bytes():
    assert os.fsencode(file_path("file:///w/%FF.py")) == b"/w/\xff.py"


@pytest.mark.parametrize(
    "uri",
    [
        "untitled:Untitled-1",
        "file:///c%3A/Users/a.py",
        "file:///C:/Users/a.py",
        "file://server/share/a.py",
        "file:a.py",
        "file:///w/%00.py",
        "file://[half",
        "git:/w/a.py?%7B%7D",
        "vscode-remote://ssh/w/a.py",
        "",
    ],
)
def test_what_is_no_file_of_this_machine(uri):
    assert file_path(uri) is None


def test_cells_and_spellings():
    assert is_cell("vscode-notebook-cell:/w/a.ipynb#1") and not is_cell("file:///w/a.ipynb")
    assert uri_key("file:///c%3A/a") == uri_key("file:///c:/a")
