"""A training's state in one file: written beside and renamed, never half there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

NAME = "checkpoint.safetensors"


def save(work: Path, mark: str, step: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the state after ``step`` steps of the training that ``mark`` identifies.

    :raises OSError: there is no room, or no permission.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    work.mkdir(parents=True, exist_ok=True)
    temporary = work / f".{NAME}.{os.getpid()}"
    facts = {"mark": mark, "step": str(step)}
    try:
        save_file({k: v.detach().cpu() for k, v in tensors.items()}, temporary, metadata=facts)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(work / NAME)
    except SafetensorError as exc:  # this is how it reports a full disk
        raise OSError(f"cannot write {work / NAME}: {exc}") from exc
    finally:
        temporary.unlink(missing_ok=True)


def load(work: Path, mark: str, tensors: Mapping[str, torch.Tensor]) -> int:
    """Copy a saved state into ``tensors``.

    :return: the step to go on from; 0, with nothing changed, when there is no checkpoint, or it
        is damaged or another training's.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(work / NAME, framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("mark") != mark or set(file.keys()) != set(tensors):
                return 0
            saved = {name: file.get_tensor(name) for name in tensors}
            step = int(facts["step"])
    except (OSError, SafetensorError, KeyError, ValueError, json.JSONDecodeError):
        return 0
    if any(saved[name].shape != tensors[name].shape for name in tensors):
        return 0
    for name, value in saved.items():
        tensors[name].copy_(value)
    return step
