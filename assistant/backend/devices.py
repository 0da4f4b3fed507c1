"""Chooses the device of a model."""

from __future__ import annotations

import torch


def choose_device() -> str:
    """CUDA or Apple's GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
