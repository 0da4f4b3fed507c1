"""Runs the installed commands as processes, as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import platformdirs

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "hooks/git-copilot-hook"  # what pre-commit calls
# Read before a test seals itself off: models are pulled once per machine, not once per test.
REAL_HOME = os.environ.get("HOME", "")
REAL_CACHE = os.environ.get("GIT_COPILOT_CACHE") or str(platformdirs.user_cache_path("git-copilot"))


class Copilot:
    """Runs `git copilot` in a repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *args, stdin="", cwd=None, **env):
        return subprocess.run(
            ["git", "copilot", *map(str, args)],
            cwd=cwd or self.path,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=120,
            env={**os.environ, **env},
        )

    def ok(self, *args, **more):
        done = self.run(*args, **more)
        assert done.returncode == 0, (done.returncode, done.stderr.decode())
        return done.stdout.decode()

    def json(self, *args, **more):
        return json.loads(self.ok(*args, "--json", **more))


def assert_one_line(done, code, *words):
    """The command ended with ``code``, one line on stderr with ``words``, and an empty stdout."""
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert text.count("\n") == 1 and text.startswith("git-copilot: "), text
    assert "Traceback" not in text and done.stdout == b""
    for word in words:
        assert word in text
    return text
