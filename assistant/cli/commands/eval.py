"""``eval``: measures models on the holes of later commits."""

from __future__ import annotations

import json

import click

from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.cli.training_context import print_evidence, training_context


@click.command("eval")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--commits", "commits_range", metavar="RANGE", help="Commit range, as for git rev-list."
)
@click.option("--adapter", metavar="ID", help="Evaluate this adapter (default: the current one).",
              shell_complete=shell_completion.adapters)  # fmt: skip
@click.option("--holes", type=click.IntRange(1), help="Maximum number of holes to evaluate on.")
@click.pass_obj
def eval_command(
    host: Host,
    /,
    as_json: bool,
    commits_range: str | None,
    adapter: str | None,
    holes: int | None,
) -> int:
    """Complete the holes of later commits, with and without retrieval and adapter."""
    from git_copilot.assistant.refresh.pipeline import run_eval

    with training_context(host) as opened:
        report = run_eval(
            opened.repo,
            opened.db,
            opened.settings,
            commits_range=commits_range,
            adapter=adapter,
            embedder=opened.embedder,
            vectors=opened.vectors,
            held_out_holes=holes,
            progress=opened.bar,
        )
    if as_json:
        host.terminal.echo(json.dumps(report))
    else:
        print_evidence(host, report)
    return 0
