"""Where a model runs, and how precisely."""

from __future__ import annotations

import torch

from git_copilot.assistant.backend.linear import int8_is_exact
from git_copilot.index.core.errors import ModelError

PRECISIONS = ("auto", "int8", "bf16", "fp32")


def choose_device() -> str:
    """CUDA or Apple's GPU where there is one."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_precision(wanted: str = "auto") -> str:
    """The precision in which this machine's CPU decodes: int8 weights where they are exact to
    compute with, else what its instructions are made for."""
    if wanted not in PRECISIONS:
        raise ModelError(f"there is no precision {wanted!r}", f"take one of {PRECISIONS}")
    if wanted == "int8" and not int8_is_exact():
        raise ModelError("this machine lacks int8 instructions", "set copilot.precision to auto")
    if wanted != "auto":
        return wanted
    if int8_is_exact():
        return "int8"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"
