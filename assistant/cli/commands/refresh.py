"""``refresh``: trains an adapter."""

from __future__ import annotations

import json

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.cli.training_context import print_evidence, training_context
from git_copilot.index.core.errors import NOT_PROMOTED


@click.command("refresh")
@click.option("--json", "as_json", is_flag=True, help="Print the evidence as JSON.")
@click.option("--holes", type=click.IntRange(1), help="Maximum number of holes to train on.")
@click.option("--held-out", type=click.IntRange(1), help="Maximum number of holes to evaluate on.")
@click.option("--minutes", type=float, help="Stop training after this many minutes.")
@click.option("--seed", type=int, help="Seed of all random choices.")
@click.pass_obj
def refresh_command(
    host: Host,
    /,
    as_json: bool,
    holes: int | None,
    held_out: int | None,
    minutes: float | None,
    seed: int | None,
) -> int:
    """Train an adapter on this repository's commits, and promote it if it wins.

    The newest commits are held out: the candidate is promoted only when it completes them better
    than what is used now. Exit code 4 when it ran and was not promoted.
    """
    from git_copilot.assistant.refresh.pipeline import run_refresh

    with training_context(host) as opened:
        evidence = run_refresh(
            opened.repo,
            opened.db,
            opened.settings,
            embedder=opened.embedder,
            vectors=opened.vectors,
            seconds=minutes * 60 if minutes else None,
            max_holes=holes,
            held_out_holes=held_out,
            seed=seed,
            progress=opened.bar,
            on_note=host.terminal.note,
        )
    if as_json:
        host.terminal.echo(json.dumps(evidence))
    else:
        print_evidence(host, evidence)
    return 0 if evidence["promoted"] else NOT_PROMOTED
