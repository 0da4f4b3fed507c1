"""Where an export goes: written beside its place, and moved there when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors


@contextmanager
def written_beside(target: Path, *, force: bool = False) -> Iterator[Path]:
    """A path beside ``target`` to write a file or a folder to; it takes the place of ``target`` when
    the block ends without an error.

    :param force: replace what is there.
    :raises CopilotError: something is there, the folder around it is not, or the disk is full.
    """
    if not target.parent.is_dir():
        raise CopilotError(f"the folder {target.parent} does not exist", "create it first")
    if _holds_something(target) and not force:
        raise CopilotError(f"{target} is there already", "choose another place, or add --force")
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    _remove(temporary)
    try:
        with os_errors(target):
            yield temporary
            if _holds_something(target) or target.is_dir():
                _remove(target)
            temporary.replace(target)
    finally:
        _remove(temporary)


def _holds_something(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return os.path.lexists(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
