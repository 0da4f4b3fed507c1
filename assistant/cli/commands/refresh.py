"""``refresh``: trains an adapter."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.cli.training_context import print_arms, training_context
from git_copilot.assistant.context.repository import RepositoryContext, initialised_repository
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.setting_values import CHOICES
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.worker.options import TrainingOptions
from git_copilot.index.core.errors import NOT_PROMOTED, CopilotError
from git_copilot.index.core.types import FORMS

if TYPE_CHECKING:
    from git_copilot.assistant.evaluation.report import RefreshReport
    from git_copilot.assistant.refresh.run_clock import RunClock


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
@click.option("--preset", type=click.Choice(CHOICES["refreshpreset"]),
              help="The recipe, instead of copilot.refreshPreset.")  # fmt: skip
@click.option("--report", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write an HTML page with intervals, groups and examples.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Show what would be learnt and how long it would take.")  # fmt: skip
@click.option("--background", is_flag=True, help="Train in a process of its own.")
@click.option("--when", type=click.Choice(CHOICES["refreshwhen"]),
              help="With --background: when it starts, instead of copilot.refreshWhen.")  # fmt: skip
@click.pass_obj
def refresh_command(
    host: Host,
    /,
    as_json: bool,
    dry_run: bool,
    background: bool,
    when: str | None,
    page: Path | None,
    **options: Any,
) -> int:
    """Train an adapter on this repository's commits, and promote it if it wins.

    The newest commits are held out: the candidate is promoted only when it completes them better
    than what is used now. Exit code 4 when it ran and was not promoted.
    """
    begun = time.monotonic()
    chosen = TrainingOptions(asked=True, when=when, **options)
    _check(chosen, dry_run=dry_run, background=background, page=page)
    if background:
        _start(host, chosen, as_json)
        return 0

    from git_copilot.assistant.cli.report_page import require_folder
    from git_copilot.assistant.refresh.run_clock import RunClock

    require_folder(page)
    clock = RunClock(begun, chosen.minutes * 60 if chosen.minutes else None)
    with training_context(host, clock.bounded) as (context, folder):
        context = replace(context, settings=chosen.applied_to(context.settings))
        if dry_run:
            _show_dry_run(host, as_json, context, folder, clock, chosen)
            return 0
        report = _run(context, folder, clock, chosen)
        if page is not None:
            _write_page(host, page, context.state_dir, report)
    if as_json:
        host.terminal.echo(json.dumps(report.to_json()))
    else:
        _print(host, report)
    return 0 if report.promoted else NOT_PROMOTED


def _check(options: TrainingOptions, *, dry_run: bool, background: bool, page: Path | None) -> None:
    """:raises click.UsageError: options that have no meaning together."""
    if options.when is not None and not background:
        raise click.UsageError("--when is for --background")
    if background and dry_run:
        raise click.UsageError("choose one of --dry-run and --background")
    if page is not None and (background or dry_run):
        raise click.UsageError("--report is written by a refresh in the foreground; later, see"
                               " `git copilot adapter show ID --report`")  # fmt: skip


def _start(host: Host, options: TrainingOptions, as_json: bool) -> None:
    """Start a refresh in the background.

    :raises CopilotError: one runs or waits already, or the model is not here.
    """
    from git_copilot.assistant.core.logs import log_file
    from git_copilot.assistant.refresh.activity import read_activity
    from git_copilot.assistant.worker.training import start_training

    repo = initialised_repository()
    resolve_model(load_settings(repo, warn=host.terminal.note).model)
    running = read_activity(repo.state_dir)
    if running is not None:
        raise CopilotError(
            f"a refresh of this repository runs or waits already (pid {running.pid})",
            "`git copilot status` shows how far it is",
        )
    pid = start_training(repo.git_dir, repo.state_dir, options)
    log = log_file(repo.state_dir, "refresh")
    if as_json:
        host.terminal.echo(json.dumps({"background": True, "pid": pid, "log": str(log)}))
    else:
        host.terminal.echo(f"started (pid {pid}): `git copilot status` shows how far it is; the")
        host.terminal.echo(f"result will be in {log}")


def _show_dry_run(
    host: Host,
    as_json: bool,
    context: RepositoryContext,
    folder: Path,
    clock: RunClock,
    options: TrainingOptions,
) -> None:
    from git_copilot.assistant.refresh.dry_run import dry_run

    found = dry_run(
        context,
        clock=clock,
        folder=folder,
        max_holes=options.holes,
        held_out_holes=options.held_out,
    )
    lines = [json.dumps(found.to_json())] if as_json else found.lines()
    for line in lines:
        host.terminal.echo(line)


def _run(
    context: RepositoryContext, folder: Path, clock: RunClock, options: TrainingOptions
) -> RefreshReport:
    from git_copilot.assistant.refresh.activity import record_activity
    from git_copilot.assistant.refresh.pipeline import run_refresh

    with record_activity(context.state_dir) as record:
        return run_refresh(
            replace(context, progress=record.reporting(context.progress)),
            clock=clock,
            folder=folder,
            max_holes=options.holes,
            held_out_holes=options.held_out,
            seed=options.seed,
        )


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
    host.terminal.echo(f"{measured.candidate} {decision}: {report.verdict}")
    host.terminal.echo(
        f"{report.train.count} holes trained on, {measured.held_out.count} judged by,"
        f" {measured.seconds:.0f} s"
    )
