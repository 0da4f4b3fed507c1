"""``doctor``: what works, what does not, and the command that fixes it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.repository import known_repository
from git_copilot.assistant.core.terminal import style
from git_copilot.assistant.diagnostics.doctor import examine
from git_copilot.hooks.doctor import CheckResult
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.spool import Spool
from git_copilot.index.core.errors import OK, USER_PROBLEM

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print a list of findings.")
@click.option("--retry", is_flag=True, help="Retry failed jobs first.")
@click.option("--thorough", is_flag=True, help="Check the whole database, however large.")
@click.pass_obj
def doctor_command(host: Host, /, as_json: bool, retry: bool, thorough: bool) -> int:
    """Check what works here, what does not, and how to fix it. Exit status 1 when something fails.

    Works in any repository, and outside of one.
    """
    terminal = host.terminal
    if retry:
        terminal.note(_retry())
    findings = examine(thorough=thorough)
    if as_json:
        terminal.echo(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    else:
        print_findings(host, findings)
    return failed(findings)


def print_findings(host: Host, findings: Iterable[CheckResult]) -> None:
    """Print one line per finding, with the level in its colour."""
    for finding in findings:
        level = style(f"{finding.level:<6}", fg=COLOURS[finding.level])
        remedy = f"; fix: {finding.mend}" if finding.mend else ""
        host.terminal.echo(f"{level}{finding.check:<13}{finding.message}{remedy}")


def failed(findings: Iterable[CheckResult]) -> int:
    """The exit code of a list of findings."""
    return USER_PROBLEM if any(finding.level == "fail" for finding in findings) else OK


def _retry() -> str:
    """Queue failed jobs again and start a worker; a sentence on what was queued."""
    state = known_repository().state_dir
    count = Spool(state).retry()
    if count == 0:
        return "nothing was given up"
    started = start_worker(state)
    jobs = "one job is" if count == 1 else f"{count} jobs are"
    return f"{jobs} tried again" + ("" if started else " by the worker that runs")
