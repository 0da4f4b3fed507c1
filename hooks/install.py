"""Installs git-copilot's block into a repository's hooks and uninstalls it.

Files that belong to others are not edited: for those outside the repository's own hooks folder
(husky, a shared ``core.hooksPath``, the target of a link) the user is told what to add, or, with
git 2.54, hooks are set in the configuration, which run beside any hooks path."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from git_copilot.hooks import block
from git_copilot.hooks.events import HOOKS
from git_copilot.hooks.files import HookFileChange, install_hook, uninstall_hook, write_if_changed
from git_copilot.hooks.launch import INTERPRETER_FILE, record_interpreter
from git_copilot.hooks.sources import (
    PRE_COMMIT_CONFIG,
    hooks_folder,
    installed_hooks,
    is_own_folder,
    manager_folder,
    pre_commit_hooks,
    reaching_file,
    supports_config_hooks,
)
from git_copilot.hooks.spool import Spool
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import is_trusted, require_trusted, trust_if_new

SOURCED_FILE = "hook.sh"

# A line for hook managers' files, which are not edited here. Valid in any shell hook, and silent
# where git-copilot is not installed.
SOURCE = 'f=$(git rev-parse --git-common-dir)/copilot/hook.sh; [ ! -f "$f" ] || [ ! -r "$f" ] || '
MANAGER_LINE = SOURCE + 'GIT_COPILOT_HOOK=${0##*/} . "$f"'


@dataclass(frozen=True, slots=True)
class InstallReport:
    """``hooks`` that run git-copilot now (or, after uninstalling, that no longer do)."""

    hooks: list[str]
    changed: bool
    notes: tuple[str, ...] = ()


def prepare(repo: GitRepository, interpreter: str = sys.executable) -> bool:
    """Create the spool and record the worker's interpreter; whether anything changed. This suffices
    for hooks that others install (pre-commit, or a line in a hook manager's file).

    :raises CopilotError: the interpreter is not executable or the state folder is not writable.
    :raises NotInitialised: there is a state folder that is not trusted.
    """
    python = _resolve_interpreter(interpreter)
    if not trust_if_new(repo.state_dir):
        require_trusted(repo.state_dir)
    with _writing(repo.state_dir):
        Spool(repo.state_dir).prepare()
        changed = record_interpreter(repo.state_dir, python)
        return write_if_changed(repo.state_dir / SOURCED_FILE, block.sourced(), 0o644) or changed


def install(repo: GitRepository, interpreter: str = sys.executable) -> InstallReport:
    """Install all hooks, keeping existing ones. Idempotent.

    :param interpreter: recorded to run the worker.
    :raises CopilotError: the interpreter is not executable or a folder is not writable.
    """
    changed = prepare(repo, interpreter)
    folder = hooks_folder(repo)
    if not is_own_folder(repo, folder):
        elsewhere = _install_elsewhere(repo, folder)
        return InstallReport(elsewhere.hooks, changed or elsewhere.changed, elsewhere.notes)
    changed |= _remove_config_hooks(repo)
    through_pre_commit = [
        hook for hook in pre_commit_hooks(repo, folder) if reaching_file(folder, hook) is None
    ]
    with _writing(folder):
        with_folder = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        for hook in HOOKS:
            if hook not in through_pre_commit:
                changed |= install_hook(folder, hook, with_folder)
    notes: tuple[str, ...] = ()
    if through_pre_commit:
        notes = (f"managed by pre-commit ({PRE_COMMIT_CONFIG}): {', '.join(through_pre_commit)}",)
    return InstallReport(list(HOOKS), changed, notes)


def uninstall(repo: GitRepository) -> InstallReport:
    """Restore every hook to its state before :func:`install`, byte for byte.

    :raises CopilotError: a folder is not writable.
    """
    hooks: list[str] = []
    notes: list[str] = []
    changed = _remove_config_hooks(repo)
    own = repo.common_dir / "hooks"
    folder = hooks_folder(repo)
    folders = {own, folder} if is_own_folder(repo, folder) else {own}
    for place in sorted(folders):
        with _writing(place):
            for hook, change in _uninstall_all(place):
                hooks.append(hook)
                notes.extend(change.notes)
                changed = True
    if is_trusted(repo.state_dir):
        with _writing(repo.state_dir):
            for name in (SOURCED_FILE, INTERPRETER_FILE):
                changed |= (repo.state_dir / name).exists()
                (repo.state_dir / name).unlink(missing_ok=True)
    left = installed_hooks(repo)
    if left.installed:
        where = PRE_COMMIT_CONFIG if left.via == "pre-commit" else str(manager_folder(folder))
        notes.append(f"{', '.join(left.installed)}: remove git-copilot's lines from {where}")
    return InstallReport(hooks, changed, tuple(notes))


def _uninstall_all(folder: Path) -> Iterator[tuple[str, HookFileChange]]:
    created_folder = False
    for hook in HOOKS:
        for name in (hook, f"{hook}.legacy"):
            change = uninstall_hook(folder / name, hook)
            if change is not None:
                created_folder |= change.created_folder
                yield hook, change
    if created_folder and not any(folder.iterdir()):
        folder.rmdir()


def _install_elsewhere(repo: GitRepository, folder: Path) -> InstallReport:
    """Use the configuration, or return a note, if the hooks folder belongs to others."""
    if folder.exists() and not folder.is_dir():
        note = f"hooks are disabled (core.hooksPath is {folder}); queries update the index"
        return InstallReport([], False, (note,))
    missing = [hook for hook in HOOKS if reaching_file(folder, hook) is None]
    reached = [hook for hook in HOOKS if hook not in missing]
    if supports_config_hooks(repo):
        return InstallReport(list(HOOKS), _write_config_hooks(repo, missing))
    if not missing:
        return InstallReport(reached, False)
    place = manager_folder(folder)
    note = f"hooks are in {place}; add to {', '.join(missing)} there: {MANAGER_LINE}"
    return InstallReport(reached, False, (note,))


def _write_config_hooks(repo: GitRepository, hooks: Iterable[str]) -> bool:
    settings, changed = repo.config("hook"), False
    for hook in hooks:
        # The `#` hides the arguments that git appends; the sourced block still sees them.
        command = f'{SOURCE}GIT_COPILOT_HOOK={hook} . "$f" #'
        # In this order: git refuses to commit while an event has no command.
        for key, value in (("command", command), ("event", hook)):
            if settings.get(f"git-copilot-{hook}.{key}") != value:
                name = f"hook.git-copilot-{hook}.{key}"
                repo.run("config", "--local", "--replace-all", name, value)
                changed = True
    return changed


def _remove_config_hooks(repo: GitRepository) -> bool:
    settings, changed = repo.config("hook"), False
    for hook in HOOKS:
        name = f"git-copilot-{hook}"
        if any(key.startswith(f"{name}.") for key in settings):
            code, _, _ = repo.try_run("config", "--local", "--remove-section", f"hook.{name}")
            changed |= code == 0
    return changed


def _resolve_interpreter(interpreter: str) -> str:
    # Not resolved: a virtual environment's interpreter is a link, and works only through it.
    path = os.path.abspath(shutil.which(interpreter) or interpreter)  # noqa: PTH100
    if "\n" in path or not os.access(path, os.X_OK):
        raise CopilotError(f"{interpreter} is not executable", "pass a Python interpreter")
    return path


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        place = exc.filename if isinstance(exc.filename, str) else folder
        raise CopilotError(
            f"cannot write {place}: {exc.strerror}",
            f"make {folder} writable; completion also works without hooks",
        ) from exc
