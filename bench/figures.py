"""What completions of bench/quality.py are worth: figures with intervals, and their table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from infilling import Task, first_line, overrun
from sandbox import PASSED, TIMEOUT, run_programs

from git_copilot.assistant.evaluation.metrics import Score, compare, edit_similarity, exact_match
from git_copilot.index.core.types import Progress


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion of one hole: ``text`` is what counts, ``written`` what the model wrote; see
    :class:`git_copilot.assistant.evaluation.batched_scoring.Completion`. ``fits``: the tokens allowed suffice for
    the middle and the end token."""

    task: Task
    text: str
    written: str
    finish: str
    rule: str | None
    fits: bool

    def untrimmed(self) -> Answer:
        """The same without trim rules."""
        return replace(self, text=self.written, rule=None)

    @property
    def overrun(self) -> str | None:
        """See :func:`infilling.overrun`."""
        endless = self.fits and self.finish == "length" and self.rule is None
        return overrun(self.task, self.text, endless=endless)


def judge(
    answers: Sequence[Answer], seed: int, progress: Progress, *, first_lines: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Compare with the middles and run the tests.

    :param first_lines: also give the exact match of the first lines.
    :return: figures over all (in %), and a row for each answer.
    """
    verdicts = run_programs([a.task.program(a.text) for a in answers], progress=progress)
    problems = [a.task.problem for a in answers]
    exact = [exact_match(a.text, a.task.middle) for a in answers]
    similar = [edit_similarity(a.text, a.task.middle) for a in answers]
    reasons = [a.overrun for a in answers]
    figures: dict[str, Any] = {"em": interval(exact, problems, seed)}
    if first_lines:
        lines = [exact_match(first_line(a.written), a.task.middle) for a in answers]
        figures["em_first_line"] = interval(lines, problems, seed)
    figures |= {
        "es": round(sum(similar) / len(similar), 2),
        "pass_at_1": interval([100.0 * (v == PASSED) for v in verdicts], problems, seed),
        "timeouts": verdicts.count(TIMEOUT),
        "overrun": share(reasons),
        "overrun_by": dict(Counter(reason for reason in reasons if reason).most_common()),
        "more_lines": share(
            [a.text.rstrip().count("\n") > a.task.middle.count("\n") for a in answers]
        ),
        "empty": share([not a.text.strip() for a in answers]),
    }
    rows = [
        {
            "task": a.task.name, "middle": a.task.middle, "text": a.text, "finish": a.finish,
            "rule": a.rule, "em": exact[i], "es": round(similar[i], 2), "tests": verdicts[i],
            "overrun": reasons[i],
        }
        for i, a in enumerate(answers)
    ]  # fmt: skip
    return figures, rows


def share(values: Sequence[object]) -> float:
    """The true ones in %."""
    return round(100 * sum(map(bool, values)) / len(values), 2)


def interval(
    values: Sequence[float], problems: Sequence[str], seed: int
) -> dict[str, float | None]:
    """The mean with its 95% interval: the difference to an arm that gets nothing right, whole
    problems resampled. The bounds of a single problem are unknown (``None``)."""
    nothing = [Score(problem, 0, 0, 0, 0, 1) for problem in problems]
    scores = [replace(s, em=value) for s, value in zip(nothing, values, strict=True)]
    found = compare(nothing, scores, seed).em
    bounds = {"value": found.value, "low": found.low, "high": found.high}
    return {k: round(v, 2) if math.isfinite(v) else None for k, v in bounds.items()}


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    settings = result["settings"]
    lines = [
        f"{settings['model']}, adapter: {settings['adapter'] or 'none'}; in % [95% interval]",
        f"{'':<32}{'holes':>6}  {'exact match':<19}{'first line':<19}{'similar':>8}  "
        f"{'pass@1':<19}{'overrun':>8}{'bits/byte':>10}{'tokens/s':>9}{'s':>6}",
    ]
    for name, figures in result["subsets"].items():
        modes = "+".join(figures["modes"])
        model = (
            f"{figures['bits_per_byte']:>10.3f}{figures['tokens_per_second']:>9.1f}"
            f"{figures['seconds']:>6.0f}"
        )
        lines.append(_line(f"{name}, {modes}", figures["holes"], figures) + model)
        if "without_trim" in figures:
            lines.append(_line("  without trim", figures["holes"], figures["without_trim"]))
    return "\n".join(lines)


def _line(label: str, holes: int, figures: dict[str, Any]) -> str:
    return (
        f"{label:<32}{holes:>6}  {_show(figures['em'])}{_show(figures.get('em_first_line'))}"
        f"{figures['es']:>8.1f}  {_show(figures['pass_at_1'])}{figures['overrun']:>8.1f}"
    )


def _show(found: dict[str, float | None] | None) -> str:
    if found is None:
        return " " * 19
    low, high = ("?" if found[k] is None else f"{found[k]:.1f}" for k in ("low", "high"))
    return f"{found['value']:5.1f} [{low}, {high}]".ljust(19)
