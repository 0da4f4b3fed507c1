"""Puts the figures of a refresh or an evaluation into the form that scripts rely on. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.evaluation.arms import Arm
from git_copilot.assistant.evaluation.metrics import Comparison

_SHOWN = ("prompt_tokens", "context_tokens", "suffix_tokens", "snippets", "max_tokens", "copying",
          "alternatives", "embedder")  # fmt: skip


def arms(base: Arm, incumbent: Arm | None, candidate: Arm | None) -> dict[str, Any]:
    """The three arms; one that does not exist is what is used in its place."""
    return {
        "base": base.figures(),
        "incumbent": (incumbent or base).figures(),
        "candidate": (candidate or incumbent or base).figures(),
    }


def statistics(comparison: Comparison) -> dict[str, Any]:
    """Differences with their intervals: exact match in points, the likelihood of the middles
    without their end tokens in nats per token."""
    em, nll = comparison.em, comparison.nll
    return {
        "delta_em": round(em.value, 3),
        "ci95": _ends(em.low, em.high),
        "p_value": round(comparison.p_value, 6),
        "won": comparison.won,
        "lost": comparison.lost,
        "delta_es": round(comparison.es.value, 3),
        "es_ci95": _ends(comparison.es.low, comparison.es.high),
        "delta_middle_nll": round(nll.value, 5),
        "middle_nll_ci95": _ends(nll.low, nll.high),
    }


def _ends(low: float, high: float) -> list[float | None]:
    # JSON knows no infinity: an interval that says nothing has no ends.
    return [round(end, 4) if math.isfinite(end) else None for end in (low, high)]


def settings_shown(settings: Settings, **more: object) -> dict[str, Any]:
    """The settings that an evaluation depends on, with what else the caller knows."""
    values = asdict(settings)
    return {**{key: values[key] for key in _SHOWN}, **more}
