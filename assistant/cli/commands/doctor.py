"""``doctor``: what works, what does not, and the command that mends it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.repository import known_repository
from git_copilot.assistant.core.terminal import style
from git_copilot.assistant.diagnostics.doctor import examine
from git_copilot.hooks.doctor import Finding
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.spool import Spool
from git_copilot.index.core.errors import OK, USER_PROBLEM

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print a list of findings.")
@click.option("--retry", is_flag=True, help="First try again what was given up.")
@click.option("--thorough", is_flag=True, help="Check all of a large database.")
@click.pass_obj
def doctor_command(host: Host, /, as_json: bool, retry: bool, thorough: bool) -> int:
    """Say what works here, what does not, and how to mend it. Exit status 1 when something fails.

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


def print_findings(host: Host, findings: Iterable[Finding]) -> None:
    """One line each, the level in its colour."""
    for finding in findings:
        level = style(f"{finding.level:<6}", fg=COLOURS[finding.level])
        mend = f"; mend: {finding.mend}" if finding.mend else ""
        host.terminal.echo(f"{level}{finding.check:<13}{finding.message}{mend}")


def failed(findings: Iterable[Finding]) -> int:
    """The exit code for what was found."""
    return USER_PROBLEM if any(finding.level == "fail" for finding in findings) else OK


def _retry() -> str:
    """Queue again what was given up and start a worker; what there was to do, in words."""
    state = known_repository().state_dir
    count = Spool(state).retry()
    if count == 0:
        return "nothing was given up"
    started = start_worker(state)
    jobs = "one job is" if count == 1 else f"{count} jobs are"
    return f"{jobs} tried again" + ("" if started else " by the worker that runs")
