"""``editor``: prints the configuration of an editor."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import click

from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.editor_snippets import TOKEN_PLACE, Editor, Machine, editors
from git_copilot.assistant.cli.http_options import HttpOptions, settings_here
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.diagnostics.status import server_facts
from git_copilot.assistant.http.address import HttpAddress
from git_copilot.assistant.http.token import default_token_file, read_token


@click.command("editor")
@click.argument("name", required=False, shell_complete=shell_completion.of(editors()))
@click.option("--show-token", is_flag=True, help="Print the token where the text needs it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def editor_command(host: Host, /, name: str | None, show_token: bool, as_json: bool) -> int:
    """Print the configuration of an editor, with this machine's address and token file. Without NAME:
    the editors."""
    if name is not None and name not in editors():
        raise click.UsageError(f"unknown editor {name!r}: one of {', '.join(editors())}")
    if name is None and not as_json:
        width = max(map(len, editors()))
        for each in editors().values():
            host.terminal.echo(f"{each.name:{width}}  {each.title}: {each.way}")
        return 0
    running = (server_facts() or {}).get("http")
    http = HttpOptions.of(None, None, settings_here())
    machine, wanted = _machine(http, running, show_token=show_token)
    if as_json:
        chosen = editors().values() if name is None else [editors()[name]]
        told = [_json(each.of(machine), running) for each in chosen]
        host.terminal.echo(json.dumps(told if name is None else told[0]))
        return 0
    assert name is not None
    editor = editors()[name]
    filled = editor.of(machine)
    host.terminal.note(f"for {filled.file}; see docs/editors/{filled.page}")
    host.terminal.echo_block(filled.snippet.rstrip("\n"))
    for remark in (*filled.remarks, *_remarks(editor, machine, running, wanted)):
        host.terminal.note(remark)
    return 0


def _machine(
    http: HttpOptions, running: str | None, *, show_token: bool
) -> tuple[Machine, HttpAddress]:
    """The values of this machine, and the address at which HTTP should be answered."""
    default = Machine()
    wanted = http.address or default.address
    address = HttpAddress.parse(running.removeprefix("http://")) if running else wanted
    file = http.token_file or default_token_file()
    token = read_token(file) if show_token else None
    return (
        Machine(
            address=address,
            token_file=str(file),
            token=token or TOKEN_PLACE,
            command=shutil.which("git-copilot") or default.command,
        ),
        wanted,
    )


def _remarks(
    editor: Editor, machine: Machine, running: str | None, wanted: HttpAddress
) -> list[str]:
    """What is left to do on this machine."""
    if not editor.uses_http:
        return []
    found = []
    if editor.needs_token and not Path(machine.token_file).exists():
        found.append(
            f"{machine.token_file} does not exist: `git copilot serve --http {wanted.text}` makes it"
        )
    elif editor.needs_token and machine.token == TOKEN_PLACE:
        found.append(
            f"{TOKEN_PLACE} stands for the line in {machine.token_file}; `--show-token` prints it"
        )
    if not running:
        found.append(f"no server answers HTTP: `git copilot serve --http {wanted.text}` starts one")
    return found


def _json(editor: Editor, running: str | None) -> dict[str, object]:
    fields = dataclasses.asdict(editor)
    return {**fields, "page": f"docs/editors/{editor.page}", "http": running}
