"""``context``: what a completion would be given to read."""

from __future__ import annotations

import json

import click

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.completion.callbacks import Callbacks


@click.command("context")
@click.argument("location", metavar="FILE:LINE[:COL]", shell_complete=shell_completion.files)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the unsaved buffer from stdin.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the prompt.")
@click.option("--at", metavar="COMMIT", help="As of COMMIT.")
@click.pass_obj
def context_command(
    host: Host, /, location: str, from_stdin: bool, as_json: bool, at: str | None
) -> int:
    """Print the snippets of other files that belong to FILE:LINE[:COL].

    They are what `complete` puts into its prompt; no model is loaded.
    """
    terminal = host.terminal
    request = CompleteRequest(
        location=location,
        cwd=terminal.cwd,
        text=host.read_stdin() if from_stdin else None,
        at=at,
        patient=True,
    )
    answer = host.service.context(request, Callbacks(terminal.note))
    if as_json:
        terminal.echo(json.dumps(answer.to_json()))
        return 0
    if not answer.snippets:
        terminal.note("no code of other files belongs there")
    for hit, tokens in answer.snippets:
        found_by = f"{tokens} tokens, {'+'.join(hit.sources)}"
        terminal.echo(terminal.heading(f"{terminal.name(hit.path)}:{hit.start_line}  {found_by}"))
        for number, line in enumerate(hit.text.rstrip("\n").split("\n"), hit.start_line):
            terminal.echo(f"{number:>6}  {line}")
        terminal.echo("")
    return 0
