"""Which adapter completes the files of a folder: for repositories that hold several projects.

``<state>/adapters/folders.json`` maps folders, as paths from the top of the repository, to ids, or to
``none`` for the base model. The innermost folder counts; elsewhere the adapter in use does.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.index.core.errors import CopilotError

FILE = "folders.json"


def folders(state_dir: Path) -> dict[str, str]:
    """The adapter of each folder that has one of its own, by its path without a slash at the end;
    none where the file is missing or damaged."""
    try:
        found = json.loads((adapter_store.adapters_dir(state_dir) / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(folder): str(adapter) for folder, adapter in sorted(found.items())}


def use_for(state_dir: Path, folder: str, adapter: str | None) -> None:
    """Let an adapter, or the base model (:data:`adapter_store.NONE`), complete a folder.

    :param adapter: ``None``: the one that is in use elsewhere.
    :raises CopilotError: there is no such adapter, it is damaged, or the state cannot be written.
    """
    if adapter not in (None, adapter_store.NONE):
        adapter_store.adapter_path(state_dir, str(adapter))
    found = folders(state_dir)
    if adapter is None:
        if folder not in found:
            raise CopilotError(
                f"{folder} has no adapter of its own", "`git copilot adapter list` shows which have"
            )
        del found[folder]
    else:
        found[folder] = adapter
    _write(state_dir, found)


def drop(state_dir: Path, adapters: Collection[str]) -> None:
    """Use none of ``adapters`` for a folder any more.

    :raises CopilotError: the state cannot be written.
    """
    found = folders(state_dir)
    kept = {folder: adapter for folder, adapter in found.items() if adapter not in adapters}
    if kept != found:
        _write(state_dir, kept)


def chosen_for(state_dir: Path, path: str) -> str | None:
    """The adapter of the innermost folder around ``path`` that has one, which may be
    :data:`adapter_store.NONE`; ``None`` where none has."""
    found = folders(state_dir)
    for parent in Path(path).parents:
        adapter = found.get(parent.as_posix())
        if adapter is not None:
            return adapter
    return None


def _write(state_dir: Path, found: dict[str, str]) -> None:
    path = adapter_store.adapters_dir(state_dir) / FILE
    adapter_store.write_text(path, json.dumps(found, indent=2, sort_keys=True) + "\n")
