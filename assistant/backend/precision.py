"""The one place that decides in which number formats a model computes on this machine.

A processor's flags do not tell what is fast: bf16 on AVX2 is six times slower than float32, fp16
weights are as fast there at half the memory, and int8 depends on the kernels that torch has. So
products of the model's own shapes are measured once and the rates cached (kernel_rates.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from git_copilot.assistant.backend.kernel_rates import DEFAULT_SHAPE, KernelRates, kernel_rates
from git_copilot.index.core.errors import ModelError

PRECISIONS = ("auto", "int8", "fp16", "bf16", "fp32")
# A format with half the bytes is taken unless another is faster by this factor.
MUCH_FASTER = 1.25
_DTYPES: Mapping[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of a model's weights: ``few`` where few rows are multiplied (decoding), ``many``
    where many are (reading a prompt). ``int8``, ``fp16``, ``bf16`` or ``fp32``."""

    few: str
    many: str

    @property
    def name(self) -> str:
        """As :data:`PRECISIONS` and ``copilot.precision`` name it."""
        return self.few

    @property
    def dtype(self) -> torch.dtype:
        """Of what is computed beside the weights for many rows: scores, masks."""
        return torch.bfloat16 if self.many == "bf16" else torch.float32


def choose_formats(
    wanted: str = "auto",
    shape: tuple[int, int] = DEFAULT_SHAPE,
    cache: Path | None = None,
) -> Formats:
    """The formats in which this machine's CPU serves, judges and scores.

    :param wanted: one of :data:`PRECISIONS`.
    :param shape: (outputs, inputs) of the model's most frequent layer.
    :param cache: see :func:`~git_copilot.assistant.backend.kernel_rates.kernel_rates`.
    :raises ModelError: ``wanted`` is unknown, or torch has no kernel for it here.
    """
    check_precision(wanted)
    if wanted in ("bf16", "fp32"):
        return Formats(wanted, wanted)
    rates = kernel_rates(shape, cache)
    if wanted != "auto" and wanted not in rates.few:
        raise ModelError(
            f"this machine has no kernels for {wanted}", "set copilot.precision to auto"
        )
    if wanted == "fp16":
        return Formats(wanted, wanted)
    many = _fastest_many(rates)
    return Formats("int8" if wanted == "int8" or rates.int8_is_fastest else many, many)


def _fastest_many(rates: KernelRates) -> str:
    fastest = max(rates.many, key=lambda name: rates.many[name])
    halves = {name: rate for name, rate in rates.many.items() if name != "fp32"}
    if fastest != "fp32" or not halves:
        return fastest
    half = max(halves, key=lambda name: halves[name])
    return half if rates.many["fp32"] < MUCH_FASTER * halves[half] else "fp32"


def check_precision(wanted: str) -> None:
    """:raises ModelError: ``wanted`` is not one of :data:`PRECISIONS`."""
    if wanted not in PRECISIONS:
        raise ModelError(f"unknown precision {wanted!r}", f"use one of {', '.join(PRECISIONS)}")


def training_dtype(
    shape: tuple[int, int] = DEFAULT_SHAPE, cache: Path | None = None
) -> torch.dtype:
    """The dtype in which transformers' modules compute fastest on this CPU."""
    plain = kernel_rates(shape, cache).plain
    return _DTYPES[max(plain, key=lambda name: plain[name])]


def load_dtype(device: str, precision: str = "auto", cache: Path | None = None) -> torch.dtype:
    """The dtype in which to load a model through transformers, to train it or since only
    transformers can run it.

    :param device: ``"cpu"`` or an accelerator, which takes bf16.
    """
    if device != "cpu":
        return torch.bfloat16
    return _DTYPES.get(precision) or training_dtype(cache=cache)


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype's name as in :data:`PRECISIONS`."""
    return _NAMES.get(dtype, str(dtype).removeprefix("torch."))


def formats_of(dtype: torch.dtype) -> Formats | None:
    """The formats that keep a model's weights as they are; ``None`` for fp16, which the CPU's
    plain kernels do not compute in."""
    name = _NAMES.get(dtype)
    return Formats(name, name) if name in ("fp32", "bf16") else None
