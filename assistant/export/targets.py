"""Where an export goes: written beside its place, and moved there when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors

# A folder with one of these, and without folders in it, is an earlier export.
MARKS = frozenset(
    {"adapter_config.json", "model.safetensors", "model.safetensors.index.json", "Modelfile"}
)
# Bytes that a disk which is full has left at most.
LITTLE_ROOM = 1 << 20


@contextmanager
def written_beside(target: Path, *, force: bool = False) -> Iterator[Path]:
    """A path beside ``target`` to write a file or a folder to; it takes the place of ``target`` when
    the block ends without an error.

    :param force: replace what is there, if it is a file, a link, or an earlier export.
    :raises CopilotError: something is there, the folder around it is not, or the disk is full.
    """
    if not target.parent.is_dir():
        raise CopilotError(f"the folder {target.parent} does not exist", "create it first")
    if _holds_something(target):
        if not force:
            raise CopilotError(f"{target} is there already", "choose another place, or add --force")
        if target.is_dir() and not target.is_symlink() and not _is_export(target):
            raise CopilotError(
                f"{target} holds more than an earlier export and is not replaced",
                "choose another place",
            )
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    _remove(temporary)
    try:
        with os_errors(target):
            with _disk_full_told(target):
                yield temporary
            if _holds_something(target) or target.is_dir():
                _remove(target)
            temporary.replace(target)
    finally:
        _remove(temporary)


@contextmanager
def _disk_full_told(target: Path) -> Iterator[None]:
    """Writers of weights have errors of their own for a full disk."""
    try:
        yield
    except CopilotError:
        raise
    except Exception as exc:
        if shutil.disk_usage(target.parent).free < LITTLE_ROOM:
            raise CopilotError(f"no room to write {target}", "free some disk space") from exc
        raise


def _is_export(folder: Path) -> bool:
    """Whether a folder is what an earlier export wrote: plain files, one of which tells."""
    entries = list(folder.iterdir())
    plain = all(entry.is_file() and not entry.is_symlink() for entry in entries)
    return plain and any(entry.name in MARKS for entry in entries)


def _holds_something(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return os.path.lexists(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
