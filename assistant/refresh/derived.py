"""Adapters that are made of others, without training: merged ones, and copies of another strength.

They are stored like those of a refresh, with the commits and holes that their parts learnt from, so
that ``forget``, ``eval`` and the judging know them. They are used only after they were judged, or
when the user says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.merging import Combination, Part, merge_adapters
from git_copilot.assistant.adapters.provenance import read_training_holes, write_training_holes
from git_copilot.assistant.training.lora import scale_adapter
from git_copilot.index.core.types import Hole
from git_copilot.index.git.repository import GitRepository

NOT_JUDGED = "it has not been judged yet: `git copilot adapter judge {adapter}`"


def store_merged(
    repo: GitRepository, base: Path, model: str, parts: Sequence[Part], how: Combination
) -> str:
    """Merge adapters, see :func:`~git_copilot.assistant.adapters.merging.merge_adapters`.

    :param base: the folder of the base model, ``model`` its name.
    :return: the id of the new adapter.
    :raises CopilotError: they do not fit together, one is damaged, or the disk is full.
    """
    facts = {
        "merged": {
            "method": how.method,
            "density": how.density,
            "seed": how.seed,
            "parts": [{"adapter": part.name, "weight": part.weight} for part in parts],
        }
    }
    folders = [part.folder for part in parts]
    return _store(
        repo, model, folders, facts, lambda target: merge_adapters(base, parts, how, target, model)
    )


def store_scaled(repo: GitRepository, adapter: str, scale: float) -> str:
    """A copy of an adapter that acts at ``scale``, 1 being what was trained.

    :return: the id of the new adapter.
    :raises CopilotError: there is no such adapter, it is damaged, or the disk is full.
    """
    folder = adapter_store.adapter_path(repo.state_dir, adapter)
    model = adapter_store.base_model(repo.state_dir, adapter)

    def fill(target: Path) -> None:
        for name in (adapter_store.CONFIG, adapter_store.WEIGHTS):
            shutil.copyfile(folder / name, target / name)
        scale_adapter(target / adapter_store.CONFIG, scale)

    return _store(repo, model, [folder], {"scaled": {"adapter": adapter, "scale": scale}}, fill)


def _store(
    repo: GitRepository,
    model: str,
    parts: Sequence[Path],
    facts: Mapping[str, Any],
    fill: Callable[[Path], None],
) -> str:
    """Add an adapter with the provenance of its ``parts``, and not promoted."""
    adapter = adapter_store.new_id()
    commits, holes = _commits(parts), _holes(parts)
    report = {
        "candidate": adapter,
        "incumbent": None,
        "base_model": model,
        "commits": {"train": _span(repo, commits), "held_out": []},
        "holes": {"train": len(holes or ()), "held_out": 0},
        "promoted": False,
        "reason": NOT_JUDGED.format(adapter=adapter),
        **facts,
    }

    def fill_all(folder: Path) -> None:
        fill(folder)
        text = "".join(f"{oid}\n" for oid in commits)
        (folder / adapter_store.COMMITS).write_text(text, "utf-8")
        if holes is not None:
            write_training_holes(folder, holes)

    adapter_store.create(repo.state_dir, adapter, fill_all, report)
    return adapter


def _commits(parts: Sequence[Path]) -> list[str]:
    """The commits that any of the parts learnt from."""
    found: dict[str, None] = {}
    for folder in parts:
        found.update(dict.fromkeys(adapter_store.read_commits(folder)))
    return list(found)


def _holes(parts: Sequence[Path]) -> list[Hole] | None:
    """The holes that any of the parts learnt from; ``None`` where one does not tell."""
    found: dict[Hole, None] = {}
    for folder in parts:
        holes = read_training_holes(folder)
        if holes is None:
            return None
        found.update(dict.fromkeys(holes))
    return list(found)


def _span(repo: GitRepository, commits: Sequence[str]) -> list[str]:
    """The oldest and the newest of those commits that are here."""
    here = [oid for oid in commits if repo.has_object(oid)]
    if not here:
        return []
    feed = "".join(f"{oid}\n" for oid in here).encode()
    ordered = repo.run("rev-list", "--no-walk=sorted", "--stdin", stdin=feed).decode().split()
    return [ordered[-1], ordered[0]]
