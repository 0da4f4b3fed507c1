"""Loads models and adapters for inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from git_copilot.assistant.backend.allocator import keep_freed_memory
from git_copilot.assistant.backend.precision import load_dtype
from git_copilot.assistant.backend.quantisation import four_bit_config
from git_copilot.index.core.errors import ModelError


def load_model(
    folder: Path, *, device: str = "cpu", dtype: torch.dtype | None = None, four_bit: bool = False
) -> Any:
    """Load a transformers model for inference. From here on this process keeps the memory that it
    frees: see :mod:`~git_copilot.assistant.backend.allocator`.

    :param dtype: of the weights; by default what computes fastest on ``device``.
    :param four_bit: keep the weights of its layers in four bits, and compute in ``dtype``.
    :raises ModelError: the folder holds no readable model, or memory does not suffice.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as hf_logging

    keep_freed_memory()
    quiet: Any = hf_logging
    quiet.disable_progress_bar()
    dtype = dtype or load_dtype(device)
    quantised: dict[str, Any] = {}
    if four_bit:
        quantised = {"quantization_config": four_bit_config(dtype), "device_map": {"": device}}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            **quantised,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as exc:
        raise ModelError(
            f"the model in {folder} cannot be loaded ({str(exc).strip().splitlines()[0][:160]})",
            f"repair it with `git copilot model pull {folder.name}`, or choose another: `… model use`",
        ) from exc
    return (model if four_bit else model.to(device)).eval()


def apply_adapter(model: Any, folder: Path) -> Any:
    """Merge a LoRA adapter into a freshly loaded model.

    :raises ModelError: the adapter is damaged or was made for another model.
    """
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload().eval()
    except Exception as exc:  # safetensors, peft and torch each raise their own
        raise ModelError(
            f"the adapter {folder.name} cannot be loaded ({str(exc).splitlines()[0][:160]})",
            "use an earlier one: `git copilot adapter rollback`",
        ) from exc
