"""The state of a training run in one file, written atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

NAME = "checkpoint.safetensors"


def save(work: Path, run_id: str, step: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the state after ``step`` steps of the training run that ``mark`` identifies.

    :raises OSError: the disk is full, or there is no permission.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    work.mkdir(parents=True, exist_ok=True)
    temporary = work / f".{NAME}.{os.getpid()}"
    facts = {"mark": run_id, "step": str(step)}
    try:
        save_file({k: v.detach().cpu() for k, v in tensors.items()}, temporary, metadata=facts)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(work / NAME)
    except SafetensorError as exc:  # it reports a full disk like this
        raise OSError(f"cannot write {work / NAME}: {exc}") from exc
    finally:
        temporary.unlink(missing_ok=True)


def load(work: Path, run_id: str, tensors: Mapping[str, torch.Tensor]) -> int:
    """Copy a saved state into ``tensors``.

    :return: the step to resume from; 0, with nothing changed, if there is no checkpoint, or it is
        damaged or belongs to another run.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(work / NAME, framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("mark") != run_id or set(file.keys()) != set(tensors):
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
