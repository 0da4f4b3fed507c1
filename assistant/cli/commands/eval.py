"""``eval``: measures models on the holes of later commits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.cli.training_context import print_arms, training_context
from git_copilot.index.core.types import FORMS


@click.command("eval")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--commits", "commits_range", metavar="RANGE", help="Commit range, as for git rev-list."
)
@click.option("--adapter", metavar="ID", help="Evaluate this adapter (default: the current one).",
              shell_complete=shell_completion.adapters)  # fmt: skip
@click.option("--holes", type=click.IntRange(1), help="Maximum number of holes to evaluate on.")
@click.option("--form", type=click.Choice(FORMS), help="Form of the holes (default: typed).")
@click.option(
    "--arms",
    type=click.Choice(["all", "retrieval"]),
    default="all",
    help="All arms, or only those with retrieval, in half the time (default: all).",
)
@click.option(
    "--control",
    "controls",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="PATH",
    help="Also evaluate the adapter in use in another repository, or in an adapter's folder.",
)
@click.option("--report", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write an HTML page with intervals, groups and examples.")  # fmt: skip
@click.pass_obj
def eval_command(
    host: Host,
    /,
    as_json: bool,
    commits_range: str | None,
    adapter: str | None,
    holes: int | None,
    form: str | None,
    arms: str,
    controls: tuple[Path, ...],
    page: Path | None,
) -> int:
    """Complete the holes of later commits, with and without retrieval and adapter."""
    from git_copilot.assistant.cli.report_page import require_folder, write_page
    from git_copilot.assistant.evaluation.controls import find_controls
    from git_copilot.assistant.evaluation.eval_run import run_eval

    require_folder(page)
    with training_context(host) as (context, folder):
        if form is not None:
            context = replace(context, settings=replace(context.settings, evaluation_form=form))
        beside = find_controls(controls, context.settings.model)
        report = run_eval(
            context,
            folder=folder,
            commits_range=commits_range,
            adapter=adapter,
            held_out_holes=holes,
            controls=beside,
            plain=arms == "all",
        )
        name = context.repo.name
    if page is not None:
        write_page(page, report, name, commits_range)
        host.terminal.note(f"wrote {page}")
    if as_json:
        host.terminal.echo(json.dumps(report.to_json()))
    else:
        print_arms(host, report.arms, {c.name: c.scores for c in report.controls})
    return 0
