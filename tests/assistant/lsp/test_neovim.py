"""``vim.lsp.inline_completion`` of a real Neovim (0.12 or later)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.support.client_folders import client_folder, fetch
from tests.support.commands import BIN, ROOT
from tests.support.stdio_client import eventually

pytestmark = pytest.mark.e2e
CLIENTS = ROOT / "tests/clients"
OLDEST = (0, 12)


def version_of(nvim):
    told = subprocess.run([nvim, "--version"], capture_output=True, text=True).stdout
    found = re.match(r"NVIM v(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@pytest.fixture(scope="module")
def nvim():
    """A Neovim that is new enough: the one on PATH, or Debian's newest in the cache folder."""
    installed = shutil.which("nvim")
    if installed and version_of(installed) >= OLDEST:
        return installed
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        pytest.skip("no Neovim 0.12 here, and no Debian to get one from")
    folder = client_folder("neovim")
    fetch(folder, "nvim", ["sh", CLIENTS / "fetch_neovim.sh", folder], "Debian's newest Neovim")
    if version_of(folder / "nvim") < OLDEST:
        pytest.skip("Debian has no Neovim 0.12 for this machine")
    return folder / "nvim"


def test_neovim_shows_accepts_and_clears_completions(nvim, script, source, tmp_path):
    out = tmp_path / "seen.json"
    subprocess.run(
        [nvim, "--headless", "-u", "NONE", "-i", "NONE", "-S", CLIENTS / "neovim.lua"],
        env={
            **os.environ,
            "COMMAND": str(BIN / "git-copilot"),
            "FILE": str(source),
            "OUT": str(out),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=90,
    )
    seen = json.loads(out.read_text("utf-8"))
    assert seen.get("problem") is None
    assert seen["encoding"] == "utf-8"
    assert seen["shown"] == "done()" and seen["typed_along"] == "one()"
    assert seen["after_insert_mode"] == "nothing" and seen["messages"].strip() == ""
    assert all(request.automatic and request.count == 1 for request in script.requests)
    assert "\nx = d" in script.requests[-2].text.decode()
    eventually(lambda: script.reports)
    assert [report.outcome for report in script.reports] == ["accepted"]
    log = tmp_path / "state/nvim/lsp.log"
    assert not log.exists() or "ERROR" not in log.read_text("utf-8")
