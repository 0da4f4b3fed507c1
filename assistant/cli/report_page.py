"""Writes the pages of evaluations and refreshes."""

from __future__ import annotations

from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.evaluation.html_report import render_report
from git_copilot.assistant.evaluation.report import EvaluationReport
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import write_atomically


def require_folder(path: Path | None) -> None:
    """Before anything that takes long.

    :raises CopilotError: the folder of a page does not exist.
    """
    if path is not None and not path.parent.is_dir():
        raise CopilotError(f"{path.parent} does not exist", "make that folder first")


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
    _write(path, render_report(report, repository, command).encode())


def write_adapter_page(path: Path, state_dir: Path, adapter: str) -> None:
    """Write the page of the refresh that made an adapter.

    :raises CopilotError: there is none, or the file cannot be written.
    """
    adapter_store.read_report(state_dir, adapter)  # it says where there is no such adapter
    try:
        data = (adapter_store.adapters_dir(state_dir) / adapter / adapter_store.PAGE).read_bytes()
    except OSError as exc:
        raise CopilotError(
            f"the adapter {adapter} has no page: its completions were not measured",
            f"`git copilot eval --adapter {adapter} --report {path.name}` measures them",
        ) from exc
    _write(path, data)


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except OSError as exc:
        raise CopilotError(
            f"{path} cannot be written ({exc.strerror})", "name another file"
        ) from exc
