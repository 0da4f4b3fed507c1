"""``init --agents``: tells coding agents, in the repository's AGENTS.md, how to ask git-copilot."""

from __future__ import annotations

from pathlib import Path

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors, write_atomically

FILE = "AGENTS.md"
HEADING = "## Ask git-copilot for code of this repository"
SECTION = f"""{HEADING}

- `git copilot search --json WORDS`: where something is, by words, by meaning and by defined name.
- `git copilot context FILE:LINE --json`: code of other files that belongs to that place (`snippets`).
- `git copilot complete FILE:LINE --json`: the code that belongs there, and its `confidence`.
- Lines and columns count from 1. Exit code 1: stderr has one line with the reason and the remedy.
"""


def add_section(root: Path) -> bool:
    """Append the section to AGENTS.md at the top of a worktree, with the file's own line endings;
    whether it was not there yet.

    :raises CopilotError: the file leads out of the worktree, or cannot be read or written.
    """
    path = (root / FILE).resolve()
    if not path.is_relative_to(root.resolve()):
        raise CopilotError(
            f"{FILE} is a link that leads out of the repository", f"add to {path} what you want"
        )
    with os_errors(path):
        before = path.read_bytes() if path.exists() else b""
        if HEADING.encode() in before:
            return False
        section = SECTION
        newline = "\r\n" if b"\r\n" in before else "\n"
        if before:
            ended = before.endswith(b"\n")
            section = ("\n" if ended else "\n\n") + section
        mode = path.stat().st_mode & 0o777 if before else None
        write_atomically(path, before + section.replace("\n", newline).encode(), mode=mode)
    return True
