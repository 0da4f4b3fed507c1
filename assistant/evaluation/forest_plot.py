"""Differences with their intervals as a picture: inline SVG with a text for readers. Pure."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from git_copilot.assistant.evaluation.metrics import Comparison

_WIDTH, _ROW, _LABELS, _FIGURES, _AXIS = 760, 30, 250, 150, 34
# Steps of the axis, in points.
_STEPS = (1, 2, 5, 10, 20, 50)
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Row:
    """A difference in points with its 95% interval; infinite ends are not drawn."""

    label: str
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, label: str, comparison: Comparison) -> Self:
        """Of exact match."""
        em = comparison.em
        return cls(label, em.value, em.low, em.high)

    @property
    def interval(self) -> str:
        """The interval in words; empty where there is none."""
        if not math.isfinite(self.low):
            return ""
        return f"[{signed(self.low)}, {signed(self.high)}]"

    @property
    def figures(self) -> str:
        """Value and interval in words."""
        return f"{signed(self.value)} {self.interval}".rstrip()


def forest_plot(rows: Sequence[Row]) -> str:
    """One line for each row: the interval, a square at the value, and the figures."""
    ends = [abs(x) for row in rows for x in (row.value, row.low, row.high) if math.isfinite(x)]
    most = max([1.0, *ends])
    step = next((s for s in _STEPS if most / s <= 5), 100)
    reach = math.ceil(most / step) * step
    left, right = _LABELS, _WIDTH - _FIGURES
    middle, scale = (left + right) / 2, (right - left) / 2 / reach
    height = len(rows) * _ROW + _AXIS
    words = "; ".join(f"{row.label}: {row.figures}" for row in rows)
    parts = [
        f'<svg class=forest viewBox="0 0 {_WIDTH} {height}" role=img>'
        f"<title>Difference of exact match in points, with 95% intervals</title>"
        f"<desc>{html.escape(words)}</desc>"
    ]
    bottom = len(rows) * _ROW + 4
    for tick in range(-reach, reach + 1, step):
        x = middle + tick * scale
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class={kind} x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>')
        parts.append(f'<text class=tick x="{x:.1f}" y="{bottom + 16}">{signed(tick, 0)}</text>')
    for index, row in enumerate(rows):
        y = index * _ROW + _ROW / 2 + 2
        x = middle + row.value * scale
        kind = "up" if row.low > 0 else "down" if row.high < 0 else "even"
        parts.append(f'<text class=label x="0" y="{y + 4:.1f}">{html.escape(row.label)}</text>')
        if math.isfinite(row.low) and math.isfinite(row.high):
            ends_at = [middle + end * scale for end in (row.low, row.high)]
            parts.append(
                f'<line class="bar {kind}" x1="{ends_at[0]:.1f}" x2="{ends_at[1]:.1f}"'
                f' y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        parts.append(
            f'<rect class="mark {kind}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
            f'<text class=figures x="{_WIDTH}" y="{y + 4:.1f}">{row.figures}</text>'
        )
    return "".join((*parts, "</svg>"))


def signed(value: float, places: int = 1) -> str:
    """A number with its sign; without one where it rounds to 0."""
    if round(value, places) == 0:
        return f"{0:.{places}f}"
    return f"{'+' if value > 0 else _MINUS}{abs(value):.{places}f}"
