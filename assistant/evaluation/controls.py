"""Adapters made elsewhere, as controls: what an adapter gains over one that learnt from other code
is what it owes to this repository."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import known_repository
from git_copilot.index.core.errors import CopilotError, NotARepository


@dataclass(frozen=True, slots=True)
class Control:
    """An adapter's folder, and how the control is called."""

    name: str
    folder: Path


def find_controls(given: Sequence[Path], model: str) -> list[Control]:
    """The adapters of each of ``given``, see :func:`find_control`; where two would be called the
    same, by their paths.

    :raises CopilotError: as :func:`find_control`.
    """
    found = {path: find_control(path, model) for path in given}
    names = Counter(control.name for control in found.values())
    return [
        control if names[control.name] == 1 else replace(control, name=str(path))
        for path, control in found.items()
    ]


def find_control(given: Path, model: str) -> Control:
    """The adapter in use in another repository, or the one in a folder.

    :param given: a repository that git-copilot is set up in, or a folder of peft.
    :param model: the base model that it must have been made for.
    :raises CopilotError: there is no adapter, or it is for another model or damaged.
    """
    path = given.resolve()
    if (path / adapter_store.CONFIG).is_file():
        adapter_store.check_files(path, path.name)
        config = json.loads((path / adapter_store.CONFIG).read_text("utf-8"))
        made_for, control = config.get("base_model_name_or_path"), Control(path.name, path)
    else:
        try:
            repo = known_repository(path)
        except (NotARepository, OSError) as exc:
            raise CopilotError(
                f"{given} is neither an adapter nor a repository with one",
                f"name a folder with {adapter_store.CONFIG}, or a repository after a refresh",
            ) from exc
        current = adapter_store.current_adapter(repo.state_dir)
        if current is None:
            raise CopilotError(
                f"no adapter is in use in {given}", "run `git copilot refresh` there first"
            )
        made_for = adapter_store.base_model(repo.state_dir, current)
        control = Control(repo.name, adapter_store.adapter_path(repo.state_dir, current))
    if made_for != model:
        raise CopilotError(
            f"the adapter in {given} was trained for {made_for}, not for {model}",
            "name one of the same base model",
        )
    return control
