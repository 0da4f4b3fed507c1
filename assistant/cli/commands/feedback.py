"""``feedback``: what became of a completion, and how often they are taken."""

from __future__ import annotations

import json
from typing import Any

import click

from git_copilot.assistant.api.requests import MAX_LENGTH, FeedbackRequest
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client.output import print_feedback
from git_copilot.index.corpus.feedback_days import OUTCOME_COLUMNS
from git_copilot.index.corpus.feedback_store import OUTCOMES, PARTIAL


@click.command("feedback")
@click.argument("completion_id", metavar="[ID", required=False)
@click.argument("outcome", metavar="accepted|partial|edited|rejected]", required=False,
                shell_complete=shell_completion.of(OUTCOMES))  # fmt: skip
@click.option(
    "--final", metavar="TEXT|-", help="The text that replaced the completion; - reads stdin."
)
@click.option(
    "--length", metavar="N", type=click.IntRange(1, MAX_LENGTH),
    help="With partial: how many characters were accepted.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def feedback_command(
    host: Host,
    /,
    completion_id: str | None,
    outcome: str | None,
    final: str | None,
    length: int | None,
    as_json: bool,
) -> int:
    """Report the outcome of a completion; without arguments, show the recent acceptance rate.

    Editors report on the id that `complete --json` returned. The commit that shows what was
    finally written turns it into a training example.
    """
    if completion_id is None:
        if final is not None or length is not None:
            raise click.UsageError("--final and --length go with an id and an outcome")
        return _print_figures(host, as_json=as_json)
    if outcome not in OUTCOMES:
        raise click.UsageError(f"after the id comes one of {', '.join(OUTCOMES)}")
    if (length is None) == (outcome == PARTIAL):
        raise click.UsageError("--length goes with partial, and only with it")
    if final == "-":
        final = host.read_stdin().decode("utf-8", "replace")
    # GIT_DIR counts in this process, so no folder is named.
    request = FeedbackRequest(completion_id, outcome, final=final, accepted_length=length)
    answer = host.service.feedback(request, host.terminal.note)
    print_feedback(host.terminal, answer.to_json(), as_json=as_json)
    return 0


def _print_figures(host: Host, *, as_json: bool) -> int:
    facts = host.service.acceptance()
    if as_json:
        host.terminal.echo(json.dumps(facts))
        return 0
    title = f"last {facts['days']} days"
    host.terminal.echo(f"{title:<{NAME_WIDTH}}{_HEADER}")
    host.terminal.echo(_row("all", facts))
    for each in facts["by_day"]:
        host.terminal.echo(_row(each["day"], each))
    for each in facts["by_adapter"]:
        host.terminal.echo(_row(" ".join(filter(None, (each["model"], each["adapter"]))), each))
    return 0


NAME_WIDTH = 36
_HEADER = "".join(f"{name:>10}" for name in (*OUTCOME_COLUMNS, "taken"))


def _row(name: str, facts: dict[str, Any]) -> str:
    rate = facts["acceptance_rate"]
    numbers = "".join(f"{facts[column]:>10}" for column in OUTCOME_COLUMNS)
    if len(name) >= NAME_WIDTH:  # a model can be a folder
        name = f"…{name[2 - NAME_WIDTH :]}"
    return f"{name:<{NAME_WIDTH}}{numbers}{'-' if rate is None else f'{rate:.0%}':>10}"
