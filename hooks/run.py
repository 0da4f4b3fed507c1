"""``git-copilot-hook``, the entry point for the pre-commit framework. Standard library only.

Records the event, starts the worker, prints nothing and always exits with 0: any other status in
post-checkout would make ``git checkout`` fail. With ``--secrets`` it checks staged changes instead
(check.py).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from git_copilot.hooks.events import HOOKS, Event
from git_copilot.hooks.launch import record_interpreter, recorded_interpreter, start_worker
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.environment import git_command
from git_copilot.index.git.trust import trust_if_new

SECRETS = "--secrets"
STATE_FOLDER = "copilot"  # as in index/git/repository.py, which is expensive to import


def main(argv: Sequence[str] | None = None) -> int:
    """Record one event. ``--stage HOOK`` or pre-commit's variables give the hook."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == [SECRETS]:
        from git_copilot.hooks.check import main as check

        return check(argv[1:])
    # The only broad except in this package. An error cannot be reported, since git's output is not
    # ours, and the next query makes up for a lost event.
    with contextlib.suppress(Exception):
        _record(argv, os.environ)
    return 0


def _record(argv: Sequence[str], env: Mapping[str, str]) -> None:
    found = identify_event(argv, env)
    if found is None:
        return
    kind, args = found
    git_dir, common_dir = _git_dirs()
    state_dir = common_dir / STATE_FOLDER
    if not trust_if_new(state_dir):  # somebody else's: nothing in it is read, written or run
        return
    spool = Spool(state_dir)
    spool.prepare()
    spool.append(Event(kind, str(git_dir), args, time.time()))
    if recorded_interpreter(state_dir) is None and _has_worker_packages():
        record_interpreter(state_dir, sys.executable)
    start_worker(state_dir)


def identify_event(
    argv: Sequence[str], env: Mapping[str, str]
) -> tuple[str, tuple[str, ...]] | None:
    """The hook that fired, with its arguments; ``None`` if it cannot have moved HEAD."""
    stage = ""
    rest = list(argv)
    if rest and rest[0].startswith("--stage="):
        stage = rest.pop(0).partition("=")[2]
    elif len(rest) > 1 and rest[0] == "--stage":
        stage = rest[1]
        del rest[:2]
    stage = stage if stage in HOOKS else _stage(env)
    if stage == "post-checkout":
        args: tuple[str, ...] = (
            env.get("PRE_COMMIT_FROM_REF", ""),
            env.get("PRE_COMMIT_TO_REF", ""),
            env.get("PRE_COMMIT_CHECKOUT_TYPE", ""),
        )
        args = args if any(args) else (*rest, "", "", "")[:3]
        return None if args[2] == "0" else (stage, args)
    if stage == "post-merge":
        return stage, (env.get("PRE_COMMIT_IS_SQUASH_MERGE") or (rest or ["0"])[0],)
    if stage == "post-rewrite":
        return stage, (env.get("PRE_COMMIT_REWRITE_COMMAND") or (rest or [""])[0],)
    return stage, tuple(rest)


def _stage(env: Mapping[str, str]) -> str:
    if "PRE_COMMIT_IS_SQUASH_MERGE" in env:
        return "post-merge"
    if "PRE_COMMIT_CHECKOUT_TYPE" in env:
        return "post-checkout"
    if "PRE_COMMIT_REWRITE_COMMAND" in env:
        return "post-rewrite"
    return "post-commit"


def _git_dirs() -> tuple[Path, Path]:
    """The worktree's own git folder and the common one."""
    done = subprocess.run(
        git_command(("rev-parse", "--absolute-git-dir")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    git_dir = Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    try:
        common = os.fsdecode((git_dir / "commondir").read_bytes().removesuffix(b"\n"))
    except FileNotFoundError:
        common = "."
    return git_dir.resolve(), (git_dir / common).resolve()


def _has_worker_packages() -> bool:
    """Whether this environment has the packages that the worker needs."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "faiss"))


if __name__ == "__main__":
    sys.exit(main())
