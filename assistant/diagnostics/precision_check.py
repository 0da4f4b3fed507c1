"""The number formats that were chosen for this machine, and the rates they were chosen by."""

from __future__ import annotations

from collections.abc import Mapping

from git_copilot.assistant.backend.formats import (
    KernelRates,
    decide_formats,
    decide_training,
    newest_rates,
)
from git_copilot.assistant.core.config import Settings, cache_dir
from git_copilot.hooks.doctor import CheckResult
from git_copilot.index.core.errors import ModelError


def describe_precision(settings: Settings) -> str | None:
    """The formats in one phrase; ``None`` until a model was loaded on this machine.

    :raises ModelError: ``settings.precision`` has no kernels here.
    """
    rates = newest_rates(cache_dir())
    return None if rates is None else _formats(rates, settings)


def examine_precision(settings: Settings) -> CheckResult:
    """The formats and, in the order of speed, what was measured."""
    rates = newest_rates(cache_dir())
    if rates is None:
        return CheckResult("precision", "ok", "chosen when a model is loaded for the first time")
    try:
        told = _formats(rates, settings)
    except ModelError as exc:
        return CheckResult("precision", "fail", exc.message, "git config --unset copilot.precision")
    few = {name: rates.few_microseconds(name) for name in rates.few}
    measured = (
        f"one row {_listed(few, 'µs', highest_first=False)};"
        f" many rows {_listed(rates.many, 'GFLOP/s', highest_first=True)}"
    )
    if not rates.compiled:
        told += (
            " with torch's kernels, in C it would be twice as fast: install again with a C compiler"
        )
    return CheckResult("precision", "ok", f"{told}; measured on one core: {measured}")


def _formats(rates: KernelRates, settings: Settings) -> str:
    chosen = decide_formats(rates, settings.precision)
    by = "" if settings.precision == "auto" else f", as copilot.precision is {settings.precision}"
    return (
        f"{chosen.few} to decode, {chosen.many} to read prompts,"
        f" {decide_training(rates)} to train on {rates.instructions}{by}"
    )


def _listed(values: Mapping[str, float], unit: str, *, highest_first: bool) -> str:
    order = sorted(values.items(), key=lambda pair: pair[1], reverse=highest_first)
    return ", ".join(f"{name} {value:.0f}" for name, value in order) + f" {unit}"
