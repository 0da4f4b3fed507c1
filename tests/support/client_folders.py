"""Clients of others that tests run: fetched once for a machine, into the cache folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from git_copilot.index.core.files import file_lock
from tests.support.commands import REAL_CACHE


def client_folder(name: str) -> Path:
    """The folder of a client."""
    folder = Path(REAL_CACHE) / "test-clients" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch(folder: Path, made: str, command: list[str | Path], what: str, **more) -> None:
    """Run the command that fills a folder, unless the file ``made`` of it is there; skip the test if
    it fails."""
    with file_lock(folder / "lock", on_wait=lambda: None):
        if (folder / made).exists():
            return
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=250, **more)
            problem = done.stderr.strip()[-200:] if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as exc:
            problem = str(exc)
        if problem:
            (folder / made).unlink(missing_ok=True)
            pytest.skip(f"{what} cannot be had: {problem}")
