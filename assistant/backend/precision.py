"""The one place that decides in which number formats a model computes on this machine.

A processor's flags do not tell what is fast: bf16 on AVX2 is six times slower than float32, fp16
weights are as fast there at half the memory, and int8 depends on the kernels that torch has. So
products of the model's own shapes are measured once and the rates cached (kernel_rates.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from git_copilot.assistant.backend.formats import (
    Formats,
    check_precision,
    decide_formats,
    decide_training,
)
from git_copilot.assistant.backend.kernel_rates import DEFAULT_SHAPE, kernel_rates

_DTYPES: Mapping[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def choose_formats(
    wanted: str = "auto", shape: tuple[int, int] = DEFAULT_SHAPE, cache: Path | None = None
) -> Formats:
    """The formats in which this machine's CPU serves, judges and scores.

    :param wanted: one of :data:`~git_copilot.assistant.backend.formats.PRECISIONS`.
    :param shape: (outputs, inputs) of the model's most frequent layer.
    :param cache: see :func:`~git_copilot.assistant.backend.kernel_rates.kernel_rates`.
    :raises ModelError: ``wanted`` is unknown, or torch has no kernel for it here.
    """
    check_precision(wanted)
    if wanted in ("bf16", "fp32"):
        return Formats(wanted, wanted)
    return decide_formats(kernel_rates(shape, cache), wanted)


def training_dtype(
    shape: tuple[int, int] = DEFAULT_SHAPE, cache: Path | None = None
) -> torch.dtype:
    """The dtype in which transformers' modules compute fastest on this CPU."""
    return _DTYPES[decide_training(kernel_rates(shape, cache))]


def load_dtype(device: str, precision: str = "auto", cache: Path | None = None) -> torch.dtype:
    """The dtype in which to load a model through transformers, to train it or since only
    transformers can run it.

    :param device: ``"cpu"`` or an accelerator, which takes bf16.
    """
    if device != "cpu":
        return torch.bfloat16
    return _DTYPES.get(precision) or training_dtype(cache=cache)


def score_dtype(formats: Formats) -> torch.dtype:
    """The dtype of what is computed beside the weights for many rows: scores, masks."""
    return torch.bfloat16 if formats.many == "bf16" else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype's name as in :data:`~git_copilot.assistant.backend.formats.PRECISIONS`."""
    return _NAMES.get(dtype, str(dtype).removeprefix("torch."))


def formats_of(dtype: torch.dtype) -> Formats | None:
    """The formats that keep a model's weights as they are; ``None`` for fp16, which the CPU's
    plain kernels do not compute in."""
    name = _NAMES.get(dtype)
    return Formats(name, name) if name in ("fp32", "bf16") else None
