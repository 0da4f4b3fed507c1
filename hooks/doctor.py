"""`git copilot doctor`'s checks of git, the hooks, and the worker's interpreter.

Read-only.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from git_copilot.hooks import block
from git_copilot.hooks.events import HOOKS
from git_copilot.hooks.install import MANAGER_LINE, SOURCED_FILE
from git_copilot.hooks.launch import INTERPRETER_FILE, WORKER_MODULE, worker_environment
from git_copilot.hooks.sources import (
    CONFIG_HOOKS_SINCE,
    PRE_COMMIT_CONFIG,
    HookSource,
    configured_stages,
    git_version,
    hook_sources,
    hooks_folder,
    is_generated,
    is_own_folder,
    manager_folder,
    supports_config_hooks,
)
from git_copilot.index.git.repository import GitRepository

Level = Literal["ok", "warn", "fail"]

OLDEST_GIT = (2, 30)  # the first with a correct `rev-parse --end-of-options`
INSTALL = "git copilot install"
# Modules that the worker's jobs import, besides WORKER_MODULE.
WORKER_NEEDS = ("git", "numpy", "faiss", "tree_sitter", "model2vec")
ASK_SECONDS = 10.0
_ASK = """
import json, sys
from importlib import metadata, util

def there(name):
    try:
        return util.find_spec(name) is not None
    except ImportError:
        return False

missing = [name for name in sys.argv[1:] if not there(name)]
try:
    version = metadata.version("git-copilot")
except metadata.PackageNotFoundError:
    version = ""
print(json.dumps({"missing": missing, "version": version}))
"""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    ``check`` identifies it for scripts; ``mend`` is the command that fixes the problem, or empty.
    """

    check: str
    level: Level
    message: str
    mend: str = ""


def examine_hooks(repo: GitRepository, version: str) -> Iterator[CheckResult]:
    """Check git, the hooks and the interpreter; ``version`` is that of the running command."""
    yield examine_git(repo)
    if repo.root is None:
        yield CheckResult(
            "hooks", "ok", "bare repository: changed by pushes only; queries update the index"
        )
    else:
        folder = hooks_folder(repo)
        found = hook_sources(repo)
        yield _folder(repo, folder)
        for hook in HOOKS:
            yield _event(repo, folder, hook, found[hook])
        yield from _pre_commit(repo, folder, found)
        yield from _shims(repo, folder, found)
    yield check_interpreter(repo.state_dir, version)


def display_path(repo: GitRepository, path: Path) -> str:
    """A path relative to the working tree, if it is inside."""
    base = repo.root
    return str(path.relative_to(base)) if base and path.is_relative_to(base) else str(path)


def examine_git(repo: GitRepository) -> CheckResult:
    """Check the version of git, and where it supports hooks."""
    number = os.fsdecode(repo.run("version")).removeprefix("git version ").strip()
    if git_version(repo) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        return CheckResult(
            "git", "warn", f"git {number} is older than {oldest}", f"install git {oldest} or newer"
        )
    where = "files and configuration"
    if not supports_config_hooks(repo):
        since = ".".join(map(str, CONFIG_HOOKS_SINCE))
        where = f"files (configuration needs git {since})"
    return CheckResult("git", "ok", f"git {number}: hooks in {where}")


def _folder(repo: GitRepository, folder: Path) -> CheckResult:
    place = display_path(repo, folder)
    if is_own_folder(repo, folder):
        return CheckResult("hooks", "ok", f"hooks are in {place}")
    # "local<TAB>file:.git/config<TAB>value"
    code, out, _ = repo.try_run("config", "--show-scope", "--get", "core.hooksPath")
    scope = os.fsdecode(out).split("\t")[0] if code == 0 else "?"
    manager = ", husky's" if folder.name == "_" and folder.parent.name == ".husky" else ""
    told = f"core.hooksPath is {place} ({scope} configuration{manager})"
    if folder.exists() and not folder.is_dir():
        return CheckResult("hooks", "warn", f"hooks are disabled: {told}; queries update the index")
    return CheckResult("hooks", "ok", f"{told}: not edited by git-copilot")


def _event(repo: GitRepository, folder: Path, hook: str, ways: list[HookSource]) -> CheckResult:
    """Check that one of git's hooks reaches git-copilot."""
    if ways:
        told = " and ".join(f"{way.via} ({display_path(repo, Path(way.place))})" for way in ways)
        beside = _beside(folder, hook, ways)
        return CheckResult("hooks", "ok", f"{hook}: {told}{f', beside {beside}' if beside else ''}")
    path = folder / hook
    if (
        path.is_file()
        and not os.access(path, os.X_OK)
        and block.note(path.read_bytes()) is not None
    ):
        told = f"{hook}: {display_path(repo, path)} has git-copilot's lines but is not executable"
        return CheckResult("hooks", "warn", told, f"chmod +x '{path}'")
    beside = _beside(folder, hook, ways)
    told = f"{hook}: does not run git-copilot{f', only {beside}' if beside else ''}; queries update the index"
    if folder.exists() and not folder.is_dir():
        return CheckResult("hooks", "warn", told)  # disabled by the user
    if is_own_folder(repo, folder) or supports_config_hooks(repo):
        return CheckResult("hooks", "warn", told, INSTALL)
    place = display_path(repo, manager_folder(folder) / hook)
    return CheckResult("hooks", "warn", told, f"add to {place}: {MANAGER_LINE}")


def _beside(folder: Path, hook: str, ways: Iterable[HookSource]) -> str:
    """What else git runs for this hook."""
    path = folder / hook
    if not os.access(path, os.X_OK) or not path.is_file():
        return ""
    if is_generated(path):
        return "" if any(way.via == "pre-commit" for way in ways) else "pre-commit"
    if folder.name == "_" and folder.parent.name == ".husky":
        return "husky"
    note = block.note(path.read_bytes())
    if note is None:
        return "a hook of yours" if not any(way.via == "manager" for way in ways) else ""
    if note == block.WRAPPER:
        return f"{hook}{block.ORIGINAL_SUFFIX}"
    own = note.startswith(block.CREATED) and block.strip(path.read_bytes()) == block.SHEBANG
    return "" if own else "your own lines there"


def _pre_commit(
    repo: GitRepository, folder: Path, found: dict[str, list[HookSource]]
) -> Iterator[CheckResult]:
    """Check for configured stages that are not installed: a common mistake, since a plain
    ``pre-commit install`` installs one hook type only."""
    wanted = configured_stages(repo)
    missing = [h for h in HOOKS if h in wanted and not is_generated(folder / h) and not found[h]]
    if missing:
        yield CheckResult(
            "pre-commit",
            "warn",
            f"{PRE_COMMIT_CONFIG} has git-copilot's hooks, but pre-commit is not installed for "
            f"{', '.join(missing)}",
            f"pre-commit install {' '.join(f'-t {hook}' for hook in missing)}",
        )
    elif wanted:
        yield CheckResult("pre-commit", "ok", f"{PRE_COMMIT_CONFIG}: {', '.join(sorted(wanted))}")


def _shims(
    repo: GitRepository, folder: Path, found: dict[str, list[HookSource]]
) -> Iterator[CheckResult]:
    """Check that the blocks are of this version, and that hooks that were moved aside still run."""
    old = []
    for hook, ways in found.items():
        for place in (Path(way.place) for way in ways if way.via == "native"):
            content = place.read_bytes()
            if block.insert(content, hook) != content:
                old.append(place.name)
        aside = folder / f"{hook}{block.ORIGINAL_SUFFIX}"
        current = folder / hook
        content = current.read_bytes() if current.is_file() else b""
        if os.path.lexists(aside) and block.note(content) != block.WRAPPER:
            yield CheckResult(
                "shims",
                "warn",
                f"{aside.name} no longer runs: git-copilot's {hook} was replaced",
                f"mv '{aside}' elsewhere, keep what you need of it, then {INSTALL}",
            )
    sourced = repo.state_dir / SOURCED_FILE
    if sourced.is_file() and sourced.read_bytes() != block.sourced():
        old.append(sourced.name)
    sourcing = any(way.via in ("config", "manager") for ways in found.values() for way in ways)
    if sourcing and not sourced.is_file():
        yield CheckResult("shims", "fail", f"{sourced} is missing: hooks have no effect", INSTALL)
    if old:
        told = f"blocks of another version: {', '.join(dict.fromkeys(old))}"
        yield CheckResult("shims", "warn", told, INSTALL)
    elif any(found.values()):
        yield CheckResult("shims", "ok", "all blocks are of this version")


def check_interpreter(state_dir: Path, version: str) -> CheckResult:
    """Check that the recorded interpreter exists and can import what the worker needs."""
    try:
        python = os.fsdecode((state_dir / INTERPRETER_FILE).read_bytes()).removesuffix("\n")
    except OSError:
        told = "no interpreter is recorded, so no worker can start"
        return CheckResult("interpreter", "fail" if state_dir.is_dir() else "warn", told, INSTALL)
    if not os.access(python, os.X_OK):
        return CheckResult("interpreter", "fail", f"{python} is missing or not executable", INSTALL)
    try:
        done = subprocess.run(
            [python, "-P", "-c", _ASK, WORKER_MODULE, *WORKER_NEEDS],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_SECONDS,
            check=False,
            cwd=state_dir,
            env=worker_environment(),
        )
        facts = json.loads(done.stdout)
        missing, found = list(facts["missing"]), str(facts["version"])
    except subprocess.TimeoutExpired:
        told = f"{python} did not answer within {ASK_SECONDS:g} s"
        return CheckResult("interpreter", "fail", told, INSTALL)
    except (OSError, ValueError, KeyError, TypeError):
        return CheckResult("interpreter", "fail", f"{python} is not a working Python", INSTALL)
    if WORKER_MODULE in missing:
        return CheckResult("interpreter", "fail", f"{python} does not have git-copilot", INSTALL)
    if missing:
        told = f"{python} lacks {', '.join(missing)}"
        mend = f"'{python}' -m pip install 'git-copilot[local]'"
        return CheckResult("interpreter", "fail", told, mend)
    if found != version:
        told = f"{python} has git-copilot {found or '?'}, this is {version}"
        return CheckResult("interpreter", "warn", told, INSTALL)
    return CheckResult("interpreter", "ok", f"{python} (git-copilot {found})")
