"""Installs into one hook file on disk and uninstalls from it. It may be killed between any two
steps."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from git_copilot.hooks import block
from git_copilot.index.core.errors import CopilotError

EXECUTABLE = 0o755


@dataclass(frozen=True, slots=True)
class HookFileChange:
    """Result of uninstalling from one file."""

    created_folder: bool = False
    notes: tuple[str, ...] = ()


def write_if_changed(path: Path, content: bytes, mode: int) -> bool:
    """Write a file atomically; whether its content has changed."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return False
    # Not files.write_atomically: in the user's folder a killed process's file needs a name that
    # the next one finds and removes.
    fresh = path.with_name(f".{path.name}.copilot-new")
    fresh.unlink(missing_ok=True)  # from a killed process; or a link, which may point anywhere
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    fresh.replace(path)
    return True


def install_hook(folder: Path, hook: str, with_folder: bool) -> bool:
    """Put the current block into ``hook``; whether the file changed."""
    path, legacy = folder / hook, folder / f"{hook}.legacy"
    for place in (path, legacy):
        if place.is_file() and block.note(content := place.read_bytes()) is not None:
            if place.is_symlink():
                return False  # somebody has moved the hook elsewhere and linked it
            return write_if_changed(place, block.insert(content, hook), _mode(place))
    if not os.path.lexists(path):
        return write_if_changed(path, block.created(hook, with_folder), EXECUTABLE)
    executable = os.access(path, os.X_OK)
    if path.is_symlink() or not executable or not block.is_shell(path.read_bytes()):
        return _wrap(path, hook)
    return write_if_changed(path, block.insert(path.read_bytes(), hook), _mode(path))


def uninstall_hook(path: Path, hook: str) -> HookFileChange | None:
    """Restore the hook to its state before :func:`install_hook`; ``None`` if it has no block."""
    aside = path.with_name(hook + block.ORIGINAL_SUFFIX)
    if path.is_symlink() or not path.is_file():
        return None
    content = path.read_bytes()
    note = block.note(content)
    if note is None:
        if _same(path, aside):
            aside.unlink()  # the installation was killed between moving aside and wrapping
        return None
    rest = block.strip(content)
    if note == block.WRAPPER:
        return _unwrap(path, hook, aside, rest)
    if note.startswith(block.CREATED) and rest == block.SHEBANG:
        path.unlink()
    else:
        write_if_changed(path, rest, _mode(path))
    return HookFileChange(created_folder=note == block.CREATED_FOLDER)


def _wrap(path: Path, hook: str) -> bool:
    """Move the hook aside and put a wrapper in its place, so that there is a hook at any moment.

    A link is run under its old name (a script with many links tells the hooks apart by it), any
    other file from its old folder (it may read files beside it).
    """
    aside = path.with_name(hook + block.ORIGINAL_SUFFIX)
    if os.path.lexists(aside) and not _same(path, aside):
        raise CopilotError(f"{aside} already exists", "it is an older hook: move it elsewhere")
    original = aside.name
    if path.is_symlink():
        original = f"{block.ORIGINAL_FOLDER}/{hook}"
        if path.with_name(block.ORIGINAL_FOLDER).is_symlink():
            place = path.with_name(block.ORIGINAL_FOLDER)
            raise CopilotError(f"{place} is a symbolic link, not a folder", "remove it")
        path.with_name(block.ORIGINAL_FOLDER).mkdir(exist_ok=True)
        link = path.parent / original
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / aside.name)
    if not os.path.lexists(aside):
        try:
            os.link(path, aside, follow_symlinks=False)
        except OSError:  # a file system without hard links
            path.rename(aside)
    return write_if_changed(path, block.wrapper(hook, original), EXECUTABLE)


def _unwrap(path: Path, hook: str, aside: Path, rest: bytes) -> HookFileChange:
    linked = f"{block.ORIGINAL_FOLDER}/{hook}"
    untouched = any(block.is_passthrough(rest, name) for name in (aside.name, linked))
    if not os.path.lexists(aside) or not untouched:
        write_if_changed(path, rest, _mode(path))
        return HookFileChange(
            notes=(f"{path} was changed after installation: only git-copilot's block was removed",)
        )
    aside.replace(path)
    (path.parent / linked).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.with_name(block.ORIGINAL_FOLDER).rmdir()
    return HookFileChange()


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def _same(one: Path, other: Path) -> bool:
    try:
        a, b = one.lstat(), other.lstat()
    except OSError:
        return False
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
