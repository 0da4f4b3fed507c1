"""Combines adapters of one base model into a new one, by the methods of PEFT.

``linear`` weighs the low-rank factors, ``svd`` the products, which it then factors again at the
largest rank. ``ties`` trims small changes and lets the weights elect signs (Yadav et al. 2023,
arXiv 2306.01708); the ``dare`` methods drop changes at random and rescale the others (Yu et al.
2023, arXiv 2311.03099).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.index.core.errors import CopilotError, ModelError
from git_copilot.index.core.files import os_errors

SVD = "svd"
METHODS = (SVD, "linear", "ties", "dare_linear", "dare_ties")
# These keep a share of each adapter's weights.
SPARSE = frozenset({"ties", "dare_linear", "dare_ties"})
DEFAULT_DENSITY = 0.5
_MERGED = "combination"


@dataclass(frozen=True, slots=True)
class Part:
    """An adapter's ``folder``, what it is called, and its ``weight`` in the sum."""

    name: str
    folder: Path
    weight: float


@dataclass(frozen=True, slots=True)
class Combination:
    """How adapters are combined. ``density`` is the share of weights that :data:`SPARSE` methods
    keep; ``seed`` of those that choose them at random."""

    method: str = SVD
    density: float = DEFAULT_DENSITY
    seed: int = 0


def equal_weights(count: int) -> tuple[float, ...]:
    """Weights that are one in all."""
    return (1 / count,) * count


def merge_adapters(
    base: Path, parts: Sequence[Part], how: Combination, target: Path, model_name: str
) -> None:
    """Write the combination of ``parts`` into ``target``, as an adapter of PEFT.

    :param base: the folder of their base model.
    :param model_name: of the base model, as the adapter names it.
    :raises CopilotError: an adapter is damaged, they do not fit together or the base model, or the
        disk is full.
    """
    ranks = {part.name: _rank(part) for part in parts}
    if how.method != SVD and len(set(ranks.values())) > 1:
        shown = ", ".join(f"{name} has {rank}" for name, rank in ranks.items())
        raise CopilotError(
            f"the method {how.method} needs adapters of equal rank ({shown})",
            f"use `--method {SVD}`",
        )
    model = _combined(base, parts, how)
    model.peft_config[_MERGED].base_model_name_or_path = model_name
    model.peft_config[_MERGED].inference_mode = True
    with os_errors(target), tempfile.TemporaryDirectory(dir=target) as work:
        model.save_pretrained(work, selected_adapters=[_MERGED], save_embedding_layers=False)
        for name in (adapter_store.CONFIG, adapter_store.WEIGHTS):
            (Path(work) / _MERGED / name).rename(target / name)
    _as_trained_here(target)


def _combined(base: Path, parts: Sequence[Part], how: Combination) -> Any:
    import torch
    from peft import PeftModel
    from transformers.utils import logging as hf_logging

    from git_copilot.assistant.backend.loading import load_model

    quiet: Any = hf_logging
    quiet.disable_progress_bar()
    torch.manual_seed(how.seed)
    model: Any = load_model(base, dtype=torch.float32)
    # Not bare numbers: peft would take the layer `0` for an adapter of that name.
    names = [f"part{number}" for number in range(len(parts))]
    wrapped: Any = None
    for name, part in zip(names, parts, strict=True):
        try:
            if wrapped is None:
                wrapped = PeftModel.from_pretrained(model, str(part.folder), adapter_name=name)
            else:
                wrapped.load_adapter(str(part.folder), adapter_name=name)
        except Exception as exc:  # safetensors, peft and torch each raise their own
            raise ModelError(
                f"the adapter {part.name} cannot be loaded ({str(exc).splitlines()[0][:160]})",
                adapter_store.DAMAGED_HINT,
            ) from exc
    sparse = {"density": how.density} if how.method in SPARSE else {}
    try:
        wrapped.add_weighted_adapter(
            names, [part.weight for part in parts], _MERGED, combination_type=how.method, **sparse
        )
    except (ValueError, RuntimeError, KeyError) as exc:
        raise CopilotError(
            f"these adapters cannot be merged ({str(exc).splitlines()[0][:160]})",
            "merge adapters with the same layers, of one base model",
        ) from exc
    return wrapped


def _rank(part: Part) -> int:
    """:raises CopilotError: the adapter is damaged."""
    adapter_store.check_files(part.folder, part.name)
    facts = json.loads((part.folder / adapter_store.CONFIG).read_text("utf-8"))
    rank = facts.get("r")
    if not isinstance(rank, int) or rank < 1:
        raise CopilotError(
            f"the adapter {part.name} is damaged (its rank is {rank!r})", adapter_store.DAMAGED_HINT
        )
    return rank


def _as_trained_here(folder: Path) -> None:
    """Move the scale of an adapter out of its weights, so that it is what training here gives one:
    alpha is twice the rank. Its strength can then be told and changed as that of any other."""
    from safetensors.torch import load_file, save_file

    from git_copilot.assistant.training.lora import ALPHA, scale_adapter

    config = folder / adapter_store.CONFIG
    facts = json.loads(config.read_text("utf-8"))
    inherent = facts["lora_alpha"] / facts["r"]
    weights = load_file(folder / adapter_store.WEIGHTS)
    for name, tensor in weights.items():
        if ".lora_B." in name:
            weights[name] = (tensor * (inherent / ALPHA)).contiguous()
    with os_errors(folder):
        save_file(weights, folder / adapter_store.WEIGHTS, metadata={"format": "pt"})
    scale_adapter(config, 1.0)
