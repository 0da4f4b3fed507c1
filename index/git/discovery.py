"""Finds the repository of a folder as git does, but never one inside another's working tree.

A folder of a clone may itself look like a bare repository (HEAD, config, objects, refs), with a
configuration of the clone's author's choice. git is therefore run with
``safe.bareRepository=explicit``. That option exists only since 2.38, and a user may stand in a real
bare repository, so git's answer is checked here: a repository that contains the start folder counts
only if it is not part of another repository's working tree.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from git_copilot.index.core.errors import GitError, NotARepository
from git_copilot.index.git.environment import git_command, git_environment

# Set by `git --git-dir=D --work-tree=W copilot`, and by git for its hooks.
REPOSITORY_OVERRIDES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR")
# rev-parse echoes unknown options. A path may contain a newline, but not this line.
_MARK = "--git-copilot-mark"
_NO_WORK_TREE = "must be run in a work tree"
_BARE = "cannot use bare repository"
_NOWHERE = re.compile(r"not a git repository \(or any")
_DUBIOUS = re.compile(r"dubious ownership in repository at '(.*)'")


@dataclass(frozen=True, slots=True)
class RepositoryPaths:
    """A repository's folders, absolute and free of links; ``root`` is ``None`` in a bare one."""

    git_dir: Path
    common_dir: Path
    root: Path | None


class RunningProcesses:
    """The git processes that one thread waits for, so that another thread can kill them."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def add(self, process: subprocess.Popen[bytes]) -> None:
        self._processes.add(process)
        if self._over:
            process.kill()

    def remove(self, process: subprocess.Popen[bytes]) -> None:
        self._processes.discard(process)

    def kill_all(self) -> None:
        """Kill all of them, and any that are added later."""
        self._over = True
        for process in list(self._processes):
            process.kill()


def run_git(
    command: list[str],
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    running: RunningProcesses | None = None,
) -> tuple[int, bytes, str]:
    """Run git in ``cwd`` and return (exit code, stdout, the line of stderr that gives the reason).

    :param running: holds the process while it runs.
    :raises GitError: it cannot be started.
    """
    pipe = subprocess.PIPE
    environment = {**git_environment(), **(env or {})}
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=environment
        )
    except OSError as exc:
        raise start_error(cwd, exc) from exc
    with process:
        if running is not None:
            running.add(process)
        try:
            out, errors = process.communicate(stdin)
        except BaseException:
            process.kill()
            raise
        finally:
            if running is not None:
                running.remove(process)
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    fatal = (line for line in lines if line.startswith("fatal: "))  # warnings may stand before it
    return process.returncode, out, next(fatal, lines[0] if lines else "")


def start_error(cwd: Path, exc: OSError) -> GitError:
    """The error for a git process that could not be started."""
    if not cwd.exists():
        return GitError(
            f"{cwd} does not exist", "check whether the repository was moved or deleted"
        )
    if isinstance(exc, FileNotFoundError):
        return GitError("git is not installed or not on PATH", str(exc))
    return GitError(f"git cannot be started in {cwd} ({exc.strerror})", "check the folder")


def find_repository(start: Path, overrides: Mapping[str, str] | None = None) -> RepositoryPaths:
    """Find the repository that contains the folder ``start``.

    :param overrides: the variables of :data:`REPOSITORY_OVERRIDES` to respect.
    :raises NotARepository: there is none.
    :raises GitError: git refuses to work there (another owner, an unknown format).
    """
    if not start.is_dir():
        raise NotARepository(f"{start} is not in a Git repository", "check the name")
    try:
        found = _rev_parse(start, "explicit", overrides or {})
    except _BareError:  # do not query it first: its configuration may be broken
        return _enclosing_repository(start.resolve()) or _rev_parse(start, "all", {})
    named = "GIT_DIR" in (overrides or {})
    if named or not start.resolve().is_relative_to(found.git_dir):
        return found
    return _enclosing_repository(found.git_dir) or found


def _enclosing_repository(folder: Path) -> RepositoryPaths | None:
    """The repository whose working tree contains ``folder``, a bare repository or a ``.git``."""
    try:
        outer = find_repository(folder.parent)
    except GitError:
        return None
    return outer if outer.root is not None and folder.is_relative_to(outer.root) else None


class _BareError(GitError):
    """git found a bare repository that was not given explicitly."""


def _rev_parse(start: Path, bare: str, overrides: Mapping[str, str]) -> RepositoryPaths:
    """Run ``git rev-parse`` once and parse its answer."""
    asked = ("rev-parse", "--git-dir", _MARK, "--git-common-dir", _MARK, "--show-toplevel")
    command = git_command(asked, settings=(f"safe.bareRepository={bare}",))
    code, out, message = run_git(command, start, env=dict(overrides))
    answers = os.fsdecode(out).split(f"\n{_MARK}\n")
    if code and not (_NO_WORK_TREE in message and len(answers) == 3):
        raise _translate_error(start, message.removeprefix("fatal: "), overrides)
    if len(answers) != 3:
        raise GitError(f"the repository path of {start} cannot be parsed", "rename the folder")
    # git may give the first two relative to `start`.
    git_dir, common_dir = ((start / answer).resolve() for answer in answers[:2])
    root = Path(answers[2].removesuffix("\n")).resolve() if not code else None
    if root is not None and "GIT_WORK_TREE" not in overrides and "GIT_DIR" in overrides:
        root = _usual_root(git_dir, root)
    return RepositoryPaths(git_dir, common_dir, root)


def _usual_root(git_dir: Path, root: Path) -> Path:
    """The top of the working tree. With GIT_DIR alone git takes the current folder for the top,
    which would be wrong in a subfolder of an ordinary repository."""
    usual = git_dir.parent
    return usual if git_dir.name == ".git" and root.is_relative_to(usual) else root


def _translate_error(start: Path, message: str, overrides: Mapping[str, str]) -> GitError:
    if _BARE in message:
        return _BareError(message)
    dubious = _DUBIOUS.search(message)
    if dubious is not None:
        remedy = f"git config --global --add safe.directory {shlex.quote(dubious[1])}"
        return GitError(f"git refuses: {message}", f"if you trust it: `{remedy}`")
    if "GIT_DIR" in overrides and "not a git repository" in message:
        return NotARepository(
            f"GIT_DIR is not a Git repository: {overrides['GIT_DIR']}", "unset it"
        )
    if _NOWHERE.search(message):
        return NotARepository(
            f"{start} is not in a Git repository", "run the command inside one, or `git init`"
        )
    if "not a git repository" in message:  # a `.git` file with a dangling target
        return NotARepository(f"{start} is not in a Git repository: {message}", "repair its `.git`")
    return GitError(f"git rev-parse failed: {message}")
