"""Which number format suits which work, decided from measured rates. Pure, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from git_copilot.index.core.errors import ModelError

PRECISIONS = ("auto", "int8", "fp16", "bf16", "fp32")
# Rows of a product that is measured for many rows.
MANY_ROWS = 128
# A format with half the bytes is taken unless another is faster by this factor.
MUCH_FASTER = 1.25
# Files of rates in the cache folder begin so.
RATES_PREFIX = "kernels-"
_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of a model's weights: ``few`` where few rows are multiplied (decoding), ``many``
    where many are (reading a prompt). Where they differ, only ``few`` is kept in memory. ``int8``, ``fp16``, ``bf16`` or ``fp32``."""

    few: str
    many: str

    @property
    def name(self) -> str:
        """As :data:`PRECISIONS` and ``copilot.precision`` name it."""
        return self.few


@dataclass(frozen=True, slots=True)
class KernelRates:
    """Measured on one layer of ``weights`` weights, on one core: threads that wait for each other
    measure what else the machine does.

    ``few`` are microseconds of a product with one row, by format, the weights in cache; ``many``
    are GFLOP/s of a product with :data:`MANY_ROWS` rows, ``plain`` the same of torch's own kernels;
    ``bandwidth`` is in GB/s; ``digit`` is of
    :func:`~git_copilot.assistant.backend.torch_ops.largest_exact_digit`; ``compiled`` says whether one
    row in int8 is computed in C (few_rows.py).
    """

    instructions: str
    weights: int
    few: Mapping[str, float]
    many: Mapping[str, float]
    plain: Mapping[str, float]
    bandwidth: float
    digit: int | None
    compiled: bool

    def few_microseconds(self, name: str) -> float:
        """Of one row in a model that does not fit into the cache: computing and reading overlap, so
        the longer of the two counts."""
        reading = self.weights * _BYTES[name] / (self.bandwidth * 1e3)
        return max(self.few[name], reading)

    @property
    def int8_is_fastest(self) -> bool:
        """Whether one row takes no longer with int8 weights than in any other format."""
        return "int8" in self.few and all(
            self.few_microseconds("int8") <= self.few_microseconds(name) for name in self.few
        )


def check_precision(wanted: str) -> None:
    """:raises ModelError: ``wanted`` is not one of :data:`PRECISIONS`."""
    if wanted not in PRECISIONS:
        raise ModelError(f"unknown precision {wanted!r}", f"use one of {', '.join(PRECISIONS)}")


def decide_formats(rates: KernelRates, wanted: str = "auto") -> Formats:
    """The formats for serving, judging and scoring.

    :param wanted: one of :data:`PRECISIONS`.
    :raises ModelError: there are no kernels for it.
    """
    if wanted in ("bf16", "fp32"):
        return Formats(wanted, wanted)
    if wanted != "auto" and wanted not in rates.few:
        raise ModelError(
            f"this machine has no kernels for {wanted}", "set copilot.precision to auto"
        )
    if wanted == "fp16":
        return Formats(wanted, wanted)
    if wanted == "int8" or rates.int8_is_fastest:
        # Converted at each call: no format of the weights in memory.
        many = {name: rate for name, rate in rates.many.items() if name in ("fp32", "bf16")}
        return Formats("int8", max(many, key=lambda name: many[name]))
    kept = _fastest_kept(rates)
    return Formats(kept, kept)


def _fastest_kept(rates: KernelRates) -> str:
    fastest = max(rates.many, key=lambda name: rates.many[name])
    halves = {name: rate for name, rate in rates.many.items() if name != "fp32"}
    if fastest != "fp32" or not halves:
        return fastest
    half = max(halves, key=lambda name: halves[name])
    return half if rates.many["fp32"] < MUCH_FASTER * halves[half] else "fp32"


def decide_training(rates: KernelRates) -> str:
    """The format in which transformers' modules compute fastest: ``bf16`` or ``fp32``."""
    return max(rates.plain, key=lambda name: rates.plain[name])


def read_rates(path: Path) -> KernelRates | None:
    """Rates that were measured before; ``None`` if there is no readable file."""
    try:
        return KernelRates(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def newest_rates(cache: Path) -> KernelRates | None:
    """The rates that were measured last, by any process."""
    try:
        files = sorted(cache.glob(f"{RATES_PREFIX}*.json"), key=lambda path: path.stat().st_mtime)
    except OSError:
        return None
    return read_rates(files[-1]) if files else None
