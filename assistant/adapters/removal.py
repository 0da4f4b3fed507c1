"""Deletes adapters: one that a user names, and candidates that nobody uses."""

from __future__ import annotations

import shutil
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.folder_adapters import drop, folders
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors

# Candidates that were neither promoted nor used: the number of the newest that stay.
KEPT = 5


def remove(state_dir: Path, adapter: str) -> bool:
    """Delete an adapter, damaged or not, and use the base model in its place.

    :return: whether it was in use for the repository or for a folder.
    :raises CopilotError: there is no such adapter, or the state cannot be written.
    """
    if adapter not in adapter_store.ids(state_dir):
        raise CopilotError(f"there is no adapter {adapter!r}", adapter_store.HINT)
    in_use = adapter_store.recorded(state_dir) == adapter
    served = in_use or adapter in folders(state_dir).values()
    if in_use:
        adapter_store.use(state_dir, None)
    drop(state_dir, [adapter])
    past = [name for name in adapter_store.history(state_dir) if name != adapter]
    directory = adapter_store.adapters_dir(state_dir)
    adapter_store.write_text(directory / adapter_store.HISTORY, "".join(f"{x}\n" for x in past))
    # Under a name that no reader takes for an adapter: a kill leaves no half of one.
    gone = directory / f"{adapter_store.TEMPORARY}{adapter}"
    with os_errors(directory / adapter):
        shutil.rmtree(gone, ignore_errors=True)
        (directory / adapter).rename(gone)
        shutil.rmtree(gone)
    return served


def prune(state_dir: Path, keep: int = KEPT) -> list[str]:
    """Delete candidates that were never promoted or used, except the newest ``keep``, and the
    leftovers of killed processes; return the ids."""
    used = {*adapter_store.history(state_dir), adapter_store.recorded(state_dir)}
    used.update(folders(state_dir).values())
    losers = [
        record.id
        for record in adapter_store.list_adapters(state_dir)
        if record.promoted is False and record.id not in used
    ]
    directory = adapter_store.adapters_dir(state_dir)
    gone = losers[: max(0, len(losers) - keep)]
    for adapter in gone:
        shutil.rmtree(directory / adapter, ignore_errors=True)
    for leftover in directory.glob(f"{adapter_store.TEMPORARY}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return gone
