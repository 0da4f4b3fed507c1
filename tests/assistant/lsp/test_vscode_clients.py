"""VS Code's own client libraries from npm, and the extension of docs/editors/vscode.

The libraries are real; the editor around them is a stand-in (tests/clients/vscode_api.js).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zlib

import pytest

from tests.support.client_folders import client_folder, fetch
from tests.support.commands import BIN, REAL_HOME, ROOT
from tests.support.stdio_client import eventually

pytestmark = pytest.mark.e2e
CLIENTS = ROOT / "tests/clients"
EXTENSION = ROOT / "docs/editors/vscode"
CANCELLED = -32800


@pytest.fixture(scope="module")
def extension():
    """The extension with the libraries that it names, or a reason to skip."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    key = zlib.crc32((EXTENSION / "package.json").read_bytes())
    folder = client_folder(f"vscode-{key:08x}")
    for name in ("package.json", "extension.js"):
        shutil.copy(EXTENSION / name, folder)
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    home = {**os.environ, "HOME": REAL_HOME}
    fetch(
        folder, "node_modules/.package-lock.json", command, "npm's packages", cwd=folder, env=home
    )
    return folder


def run(script, *arguments):
    done = subprocess.run(
        ["node", CLIENTS / script, *map(str, arguments)],
        env={**os.environ, "COMMAND": str(BIN / "git-copilot")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_extension_shows_items_and_reports_them(extension, script, source):
    script.answer = {"completion": "a", "candidates": ["a", "b", "c"]}
    told = run("run_extension.js", extension / "extension.js", source)
    place = {"line": 1, "character": 4}
    assert told == {
        "automatic": ["a"],
        "invoked": ["a", "b", "c"],
        "commands": ["gitCopilot.restart", "gitCopilot.accepted"],
        "restarted": 2,
        "range": {"start": place, "end": place},
    }
    assert [(r.automatic, r.location) for r in script.requests] == [
        (True, "a.py:2:5"),
        (False, "a.py:2:5"),
    ]
    eventually(lambda: script.reports)
    assert [report.outcome for report in script.reports] == ["accepted"]


def test_the_protocol_library(extension, script, source):
    script.hold_after = 1
    told = run("protocol_client.js", extension, source)
    place = {"line": 0, "character": 7}
    assert told["encoding"] == "utf-16" and told["exit"] == 0 and told["code"] == CANCELLED
    (item,) = told["items"]
    assert item["insertText"] == "done()" and item["range"] == {"start": place, "end": place}
    assert script.requests[0].text == "x = 😀f\n".encode()
    assert script.requests[0].location == "a.py:1:7"
