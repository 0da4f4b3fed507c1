"""The page of a refresh: what each model wrote at the held-out holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.hole_results import Answer, HoleResult
from git_copilot.assistant.evaluation.html_report import render_report
from git_copilot.assistant.evaluation.report import RefreshReport
from git_copilot.assistant.evaluation.score_store import StoredScore


def hole_results(
    held: Sequence[Example], arms: Mapping[str, Sequence[StoredScore]]
) -> tuple[HoleResult, ...]:
    """What each arm wrote; nothing where a completion was not made in one of them.

    :param arms: by name, each over the first of the ``held`` holes.
    """
    if not all(stored.score.completed for found in arms.values() for stored in found):
        return ()
    return tuple(
        HoleResult.of(
            example,
            {name: Answer(found[i].text, found[i].score) for name, found in arms.items()},
        )
        for i, example in enumerate(held)
    )


def refresh_page(report: RefreshReport, repository: str) -> str | None:
    """The page; ``None`` where completions were not measured."""
    measured = report.evaluation
    if not measured.results:
        return None
    command = ["git", "copilot", "refresh", "--seed", str(measured.seed)]
    command += ["--holes", str(report.train.count), "--held-out", str(measured.held_out.count)]
    decision = "Promoted" if report.promoted else "Not promoted"
    return render_report(measured, repository, command, f"{decision}: {report.verdict}.")
