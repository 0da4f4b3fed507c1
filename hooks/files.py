"""One hook file on the disk: install into it, take out of it. Each step can be killed."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from git_copilot.hooks import block
from git_copilot.index.core.errors import CopilotError

EXECUTABLE = 0o755


@dataclass(frozen=True, slots=True)
class Change:
    """What uninstalling one file did."""

    created_folder: bool = False
    notes: tuple[str, ...] = ()


def put(path: Path, content: bytes, mode: int) -> bool:
    """Write a file beside and rename it into place; whether it differed."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return False
    # Not files.write_atomically: in the user's folder a killed process's file needs a name that
    # the next one finds and removes.
    fresh = path.with_name(f".{path.name}.copilot-new")
    fresh.unlink(missing_ok=True)  # of a killed process; or a link, which may lead anywhere
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    fresh.replace(path)
    return True


def install_hook(folder: Path, hook: str, with_folder: bool) -> bool:
    """Make ``hook`` carry the current block; whether the file changed."""
    path, legacy = folder / hook, folder / f"{hook}.legacy"
    for place in (path, legacy):
        if place.is_file() and block.note(content := place.read_bytes()) is not None:
            if place.is_symlink():
                return False  # somebody moved our hook elsewhere and linked it
            return put(place, block.insert(content, hook), _mode(place))
    if not os.path.lexists(path):
        return put(path, block.created(hook, with_folder), EXECUTABLE)
    executable = os.access(path, os.X_OK)
    if path.is_symlink() or not executable or not block.is_shell(path.read_bytes()):
        return _wrap(path, hook)
    return put(path, block.insert(path.read_bytes(), hook), _mode(path))


def uninstall_hook(path: Path, hook: str) -> Change | None:
    """Restore what was there before :func:`install_hook`; ``None`` when nothing was ours."""
    aside = path.with_name(hook + block.ORIGINAL_SUFFIX)
    if path.is_symlink() or not path.is_file():
        return None
    content = path.read_bytes()
    note = block.note(content)
    if note is None:
        if _same(path, aside):
            aside.unlink()  # installing was killed between moving aside and wrapping
        return None
    rest = block.strip(content)
    if note == block.WRAPPER:
        return _unwrap(path, hook, aside, rest)
    if note.startswith(block.CREATED) and rest == block.SHEBANG:
        path.unlink()
    else:
        put(path, rest, _mode(path))
    return Change(created_folder=note == block.CREATED_FOLDER)


def _wrap(path: Path, hook: str) -> bool:
    """Move the hook aside, without a moment in which there is none, and stand in its place.

    A link is run under its old name (many links to one script tell the hooks apart by it),
    any other file from its old folder (it may look for its neighbours).
    """
    aside = path.with_name(hook + block.ORIGINAL_SUFFIX)
    if os.path.lexists(aside) and not _same(path, aside):
        raise CopilotError(f"{aside} is in the way", "it is an older hook: move it elsewhere")
    original = aside.name
    if path.is_symlink():
        original = f"{block.ORIGINAL_FOLDER}/{hook}"
        if path.with_name(block.ORIGINAL_FOLDER).is_symlink():
            place = path.with_name(block.ORIGINAL_FOLDER)
            raise CopilotError(f"{place} is a link, which leads elsewhere", "remove it")
        path.with_name(block.ORIGINAL_FOLDER).mkdir(exist_ok=True)
        link = path.parent / original
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / aside.name)
    if not os.path.lexists(aside):
        try:
            os.link(path, aside, follow_symlinks=False)
        except OSError:  # a file system without hard links
            path.rename(aside)
    return put(path, block.wrapper(hook, original), EXECUTABLE)


def _unwrap(path: Path, hook: str, aside: Path, rest: bytes) -> Change:
    linked = f"{block.ORIGINAL_FOLDER}/{hook}"
    untouched = any(block.is_passthrough(rest, name) for name in (aside.name, linked))
    if not os.path.lexists(aside) or not untouched:
        put(path, rest, _mode(path))
        return Change(notes=(f"{path} was changed after installation: only our block is gone",))
    aside.replace(path)
    (path.parent / linked).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.with_name(block.ORIGINAL_FOLDER).rmdir()
    return Change()


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def _same(one: Path, other: Path) -> bool:
    try:
        a, b = one.lstat(), other.lstat()
    except OSError:
        return False
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
