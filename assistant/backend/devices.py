"""Chooses the device and the precision of a model."""

from __future__ import annotations

import torch

from git_copilot.assistant.backend.torch_ops import has_bfloat16_instructions, int8_is_exact
from git_copilot.index.core.errors import ModelError

PRECISIONS = ("auto", "int8", "bf16", "fp32")


def choose_device() -> str:
    """CUDA or Apple's GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_precision(wanted: str = "auto") -> str:
    """The precision in which this machine's CPU decodes: int8 weights where their products are
    exact, else the one that its instructions favour.

    :raises ModelError: ``wanted`` is unknown, or this machine lacks its instructions.
    """
    if wanted not in PRECISIONS:
        raise ModelError(f"unknown precision {wanted!r}", f"use one of {', '.join(PRECISIONS)}")
    if wanted == "int8" and not int8_is_exact():
        raise ModelError("this machine lacks int8 instructions", "set copilot.precision to auto")
    if wanted != "auto":
        return wanted
    if int8_is_exact():
        return "int8"
    return "bf16" if has_bfloat16_instructions() else "fp32"
