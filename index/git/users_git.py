"""Git as its user runs it, with his transports, credentials, keys and hooks.

Everything else here runs git with all of these switched off (environment.py), because a
repository's configuration may be somebody else's. An exchange with a remote and a signature need
them, so this is only for repositories that the user trusts, and only when he asks for it.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from git_copilot.index.git.discovery import start_error
from git_copilot.index.git.environment import REPOSITORY_VARIABLES
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import require_trusted
from git_copilot.index.git.user_config import COMMAND_LINE_CONFIG

_INHERITED = frozenset(REPOSITORY_VARIABLES) - frozenset(COMMAND_LINE_CONFIG)
_PREFIXES = re.compile(r"^(fatal|error|remote|ERROR): +")
_NO_REASON = re.compile(r"^([Ww]arning: |hint: |\*\* |To |From |\s*$|Everything up-to-date)")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class UsersGitResult:
    """Exit code, standard output, and the lines of standard error."""

    code: int
    out: bytes
    lines: tuple[str, ...]

    def reason(self) -> str:
        """The line that tells what failed, without user names and passwords of addresses."""
        telling = [line for line in self.lines if not _NO_REASON.match(line)]
        first = telling[0] if telling else f"exit code {self.code}"
        return _PASSWORD.sub("", _PREFIXES.sub("", first)).strip()


def run_users_git(repo: GitRepository, *args: str, stdin: bytes = b"") -> UsersGitResult:
    """Run git with the user's own configuration, as he would in this repository.

    Passwords are asked for on the terminal itself, not on standard input.

    :raises NotInitialised: the repository is not trusted.
    :raises GitError: git cannot be started.
    """
    require_trusted(repo.state_dir)
    cwd = repo.root or repo.git_dir
    places = [f"--git-dir={repo.git_dir}"]
    if repo.root is not None:
        places.append(f"--work-tree={repo.root}")
    # What is signed must be the object itself, not one that a replacement ref puts in its place.
    command = ["git", "--no-pager", "--no-replace-objects", *places, *args]
    environment = {k: v for k, v in os.environ.items() if k not in _INHERITED}
    environment.update(LC_ALL="C", LANGUAGE="C")
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, cwd=cwd, env=environment, check=False
        )
    except OSError as exc:
        raise start_error(cwd, exc) from exc
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    return UsersGitResult(done.returncode, done.stdout, tuple(lines))
