"""What every benchmark says about where it ran."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from isa import instructions

from git_copilot.index.git.repository import GitRepository


def machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        **instructions(),
        "python": platform.python_version(),
        "git": output("git", "version"),
        "sh": os.path.realpath("/bin/sh"),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def name_of(path: Path, repo: GitRepository) -> str:
    """What to call a repository: its own name, or for a bare one in a folder, that folder's."""
    return path.resolve().parent.name if repo.name in ("repo", "") else repo.name
