"""Removes models from the user's cache folder, and what nothing needs any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.core.config import cache_dir
from git_copilot.assistant.models.catalogue import (
    READY_MARK,
    SPECS,
    find_spec,
    is_ready,
    model_folder,
)
from git_copilot.assistant.models.wheel_download import downloads, kept
from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.files import file_lock


@dataclass(frozen=True, slots=True)
class Removed:
    """A file or folder that was deleted, its size in bytes, and why."""

    path: Path
    bytes: int
    reason: str


def remove_model(name: str) -> Removed:
    """Delete a model that was pulled.

    :raises ModelError: it is not here, is a part of this package or a folder of the user's, or
        cannot be deleted.
    """
    spec = find_spec(name)
    if spec is not None and spec.bundled:
        raise ModelError(f"{spec.name} is a part of git-copilot", f"it takes {spec.megabytes} MB")
    folder = model_folder(name)
    if not folder.is_relative_to(_models()):
        raise ModelError(f"{folder} was not pulled by git-copilot", "delete it yourself")
    if not folder.exists():
        raise ModelError(
            f"the model {name} is not here", "`git copilot model list` shows the names"
        )
    return _deleted(folder, "removed")


def prune_models() -> list[Removed]:
    """Delete what no model needs: bases of models that are built, unfinished pulls and downloads,
    and models of earlier versions of git-copilot.

    :raises CopilotError: something cannot be deleted, or a pull works on it.
    """
    return [_deleted(path, reason) for path, reason in _unneeded()]


def _unneeded() -> Iterator[tuple[Path, str]]:
    for spec in SPECS:
        base = model_folder(spec.derived) if spec.derived else None
        if base is not None and is_ready(spec.name) and base.exists():
            yield base, f"{spec.name} is built from it already"
    known = {model_folder(spec.name) for spec in SPECS}
    for path in _listed(_models()):
        if path.name.startswith("."):
            yield path, "an unfinished pull"
        elif (
            path not in known and path.name.startswith("copilot-") and (path / READY_MARK).exists()
        ):
            yield path, "of an earlier version"
    for path in _listed(downloads()):
        if path.suffix in (".whl", ".part"):
            yield path, "an unfinished download"


def cached_bytes() -> int:
    """What all models take on disk."""
    return _size(cache_dir())


def _models() -> Path:
    return cache_dir() / "models"


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(p.lstat().st_size for p in path.rglob("*") if p.is_symlink() or p.is_file())
    return path.lstat().st_size if path.exists() else 0


def _deleted(path: Path, reason: str) -> Removed:
    size = _size(path)
    busy = f"another process works on {path.name}"
    try:
        with file_lock(downloads() / f"{_model_of(path)}.lock", busy):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as exc:
        raise ModelError(f"{path} cannot be deleted ({exc.strerror})", "check its owner") from exc
    return Removed(path, size, reason)


def _model_of(path: Path) -> str:
    """The model whose lock a pull holds while it works on ``path``."""
    if path.parent == downloads():
        wheels = (s for s in SPECS if s.wheel and path in kept(s.wheel, downloads()))
        return next((spec.name for spec in wheels), path.name)
    hidden = path.name.removeprefix(".")
    return path.name if hidden == path.name else hidden.rpartition("-")[0]
