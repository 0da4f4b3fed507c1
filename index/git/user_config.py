"""Git's configuration as entries with their scope: of a repository, or of the user alone."""

from __future__ import annotations

import os
from pathlib import Path

from git_copilot.index.core.types import ConfigEntry
from git_copilot.index.git.discovery import run_git
from git_copilot.index.git.environment import git_command

COMMAND_LINE_CONFIG = ("GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT")


def listing(prefix: str) -> tuple[str, ...]:
    """The arguments of git that list every value under ``prefix.``."""
    return ("config", "-z", "--show-scope", "--show-origin", "--get-regexp", f"^{prefix}\\.")


def command_line_config() -> dict[str, str]:
    """The environment variables with which ``git -c key=value copilot`` passes its values on."""
    return {k: v for k, v in os.environ.items() if k in COMMAND_LINE_CONFIG}


def parse_listing(out: bytes, prefix: str) -> list[ConfigEntry]:
    """What git printed for :func:`listing`, in git's order: the last value of a key wins."""
    parts = os.fsdecode(out).split("\0")
    found = []
    for scope, origin, record in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        key, _, value = record.partition("\n")
        name = key.lower().removeprefix(f"{prefix}.")
        found.append(ConfigEntry(scope, origin.removeprefix("file:"), name, value))
    return found


def user_config_entries(prefix: str) -> list[ConfigEntry]:
    """Every value under ``prefix.`` that holds in no repository in particular.

    :raises GitError: git cannot be started.
    """
    _, out, _ = run_git(git_command(listing(prefix)), Path("/"), env=command_line_config())
    return [each for each in parse_listing(out, prefix) if each.scope not in ("local", "worktree")]
