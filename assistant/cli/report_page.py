"""Writes an evaluation's page."""

from __future__ import annotations

from pathlib import Path

from git_copilot.assistant.evaluation.html_report import render_report
from git_copilot.assistant.evaluation.report import EvaluationReport
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import write_atomically


def write_page(
    path: Path, report: EvaluationReport, repository: str, commits_range: str | None
) -> None:
    """Write the page.

    :param commits_range: that was asked for; ``None``: the newest commits.
    :raises CopilotError: the file cannot be written.
    """
    commits = commits_range or report.held_out.commits[-1]
    command = ["git", "copilot", "eval", "--commits", commits]
    command += ["--holes", str(report.held_out.count), "--adapter", report.candidate or "none"]
    command += ["--form", report.settings.evaluation_form, "--report", path.name]
    try:
        write_atomically(path, render_report(report, repository, command).encode())
    except OSError as exc:
        raise CopilotError(
            f"{path} cannot be written ({exc.strerror})", "name another file"
        ) from exc
