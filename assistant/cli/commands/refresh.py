"""``refresh``: trains an adapter."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.cli.training_context import print_arms, training_context
from git_copilot.index.core.errors import NOT_PROMOTED
from git_copilot.index.core.types import FORMS

if TYPE_CHECKING:
    from git_copilot.assistant.evaluation.report import RefreshReport


@click.command("refresh")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--holes", type=click.IntRange(1), help="Maximum number of holes to train on.")
@click.option("--held-out", type=click.IntRange(1), help="Maximum number of holes to evaluate on.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Time limit of the whole command: use as many holes as it allows.",
)
@click.option("--seed", type=int, help="Seed of all random choices.")
@click.option(
    "--form", type=click.Choice(FORMS), help="Form of all holes, instead of the settings'."
)
@click.option("--report", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write an HTML page with intervals, groups and examples.")  # fmt: skip
@click.pass_obj
def refresh_command(
    host: Host,
    /,
    as_json: bool,
    holes: int | None,
    held_out: int | None,
    minutes: float | None,
    seed: int | None,
    form: str | None,
    page: Path | None,
) -> int:
    """Train an adapter on this repository's commits, and promote it if it wins.

    The newest commits are held out: the candidate is promoted only when it completes them better
    than what is used now. Exit code 4 when it ran and was not promoted.
    """
    begun = time.monotonic()

    from git_copilot.assistant.cli.report_page import require_folder
    from git_copilot.assistant.refresh.pipeline import run_refresh
    from git_copilot.assistant.refresh.run_clock import RunClock

    require_folder(page)
    clock = RunClock(begun, minutes * 60 if minutes else None)
    with training_context(host, clock.bounded) as (context, folder):
        if form is not None:
            chosen = replace(context.settings, evaluation_form=form, training_form=form)
            context = replace(context, settings=chosen)
        report = run_refresh(
            context,
            clock=clock,
            folder=folder,
            max_holes=holes,
            held_out_holes=held_out,
            seed=seed,
        )
        if page is not None:
            _write_page(host, page, context.state_dir, report)
    if as_json:
        host.terminal.echo(json.dumps(report.to_json()))
    else:
        _print(host, report)
    return 0 if report.promoted else NOT_PROMOTED


def _write_page(host: Host, path: Path, state_dir: Path, report: RefreshReport) -> None:
    from git_copilot.assistant.cli.report_page import write_adapter_page

    candidate = report.evaluation.candidate
    if candidate is None or not report.evaluation.results:
        host.terminal.note(f"{path} is not written: the completions were not all measured")
        return
    write_adapter_page(path, state_dir, candidate)
    host.terminal.note(f"wrote {path}")


def _print(host: Host, report: RefreshReport) -> None:
    measured = report.evaluation
    print_arms(host, measured.arms)
    decision = "promoted" if report.promoted else "not promoted"
    host.terminal.echo(f"{measured.candidate} {decision}: {report.reason}")
    host.terminal.echo(
        f"{report.train.count} holes trained on, {measured.held_out.count} judged by,"
        f" {measured.seconds:.0f} s"
    )
