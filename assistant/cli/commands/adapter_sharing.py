"""``adapter push``, ``fetch``, ``pull`` and ``log``: adapters shared through git."""

from __future__ import annotations

import json

import click

from git_copilot.assistant.adapters.record import AdapterRecord
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.repository import known_repository
from git_copilot.assistant.core.config import load_settings
from git_copilot.index.core.errors import OK, USER_PROBLEM


@click.command("push")
@click.argument("remote", required=False, metavar="[REMOTE]")
@click.option("--id", "adapter", metavar="ID", shell_complete=shell_completion.adapters,
              help="The adapter (default: the one in use).")  # fmt: skip
@click.option("--sign", is_flag=True, help="Sign it, as commit.gpgSign does for all commits.")
@click.pass_obj
def adapter_push(host: Host, /, remote: str | None, adapter: str | None, sign: bool) -> int:
    """Share an adapter through a remote of this repository.

    It becomes a commit under refs/copilot/adapters. Without REMOTE: the upstream of the current
    branch, else origin, else the only remote.
    """
    from git_copilot.assistant.sharing.exchange import choose_remote, push_adapter

    repo = known_repository()
    name = choose_remote(repo, remote)
    pushed = push_adapter(repo, name, adapter, sign=sign)
    how = "signed" if pushed.signed else "not signed"
    host.terminal.echo(f"{name} has {pushed.id} ({how})")
    if not pushed.signed:
        host.terminal.note("others accept only signed adapters by default; --sign signs it")
    return OK


@click.command("fetch")
@click.argument("remote", required=False, metavar="[REMOTE]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_fetch(host: Host, /, remote: str | None, as_json: bool) -> int:
    """List the adapters that a remote has, without installing any."""
    from git_copilot.assistant.sharing.exchange import choose_remote, describe, fetch_adapters

    repo = known_repository()
    name = choose_remote(repo, remote)
    rows = describe(repo, fetch_adapters(repo, name))
    if as_json:
        found = [
            {**row.record.to_json(), "signer": row.signer, "installed": row.installed,
             "problem": row.problem}
            for row in rows
        ]  # fmt: skip
        host.terminal.echo(json.dumps(found))
        return OK
    if not rows:
        host.terminal.echo(f"{name} has no adapters: `git copilot adapter push {name}` shares one")
    for row in rows:
        if row.problem is not None:
            host.terminal.echo(row.problem)
            continue
        here = "installed" if row.installed else "not installed"
        host.terminal.echo(f"{_facts(row.record)}  {row.signer}, {here}")
    return OK


@click.command("pull")
@click.argument("remote", required=False, metavar="[REMOTE]")
@click.option("--id", "adapter", metavar="ID", help="Only this adapter.")
@click.option("--no-use", is_flag=True, help="Leave the adapter in use as it is.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_pull(
    host: Host, /, remote: str | None, adapter: str | None, no_use: bool, as_json: bool
) -> int:
    """Install the adapters that a remote has, and use the newest that was promoted.

    Each is checked first; copilot.adapterTrust says whether it must be signed. Exit code 1 when
    one is refused.
    """
    from git_copilot.assistant.sharing.exchange import choose_remote
    from git_copilot.assistant.sharing.installation import pull_adapters

    repo = known_repository()
    settings = load_settings(repo, warn=host.terminal.note)
    name = choose_remote(repo, remote)
    pulled = pull_adapters(repo, name, settings, only=adapter, use=not no_use)
    if as_json:
        told = {
            "remote": pulled.remote,
            "installed": pulled.installed,
            "present": pulled.present,
            "refused": [{"id": key, "reason": str(exc)} for key, exc in pulled.refused.items()],
            "used": pulled.used,
        }
        host.terminal.echo(json.dumps(told))
        return USER_PROBLEM if pulled.refused else OK
    for installed in pulled.installed:
        host.terminal.echo(f"installed {installed}")
    for present in pulled.present:
        host.terminal.echo(f"{present} is already here")
    for error in pulled.refused.values():
        host.terminal.note(str(error))
    if pulled.used is not None:
        host.terminal.echo(f"this repository uses {pulled.used}")
    if not (pulled.installed or pulled.present or pulled.refused):
        host.terminal.echo(f"{name} has no adapters")
    return USER_PROBLEM if pulled.refused else OK


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_log(host: Host, /, as_json: bool) -> int:
    """List every adapter known here, oldest first, and what became of it."""
    from git_copilot.assistant.sharing.ledger import read_ledger

    entries = read_ledger(known_repository())
    if as_json:
        host.terminal.echo(json.dumps([entry.to_json() for entry in entries]))
        return OK
    if not entries:
        host.terminal.echo("no adapter yet: `git copilot refresh` trains one")
    for entry in entries:
        shared = f", shared with {', '.join(entry.remotes)}" if entry.remotes else ""
        span = f"  {entry.span}" if entry.span else ""
        day = entry.record.created[:10]
        host.terminal.echo(f"{day}  {_facts(entry.record)}{span}  {entry.state}{shared}")
    return OK


def _facts(record: AdapterRecord) -> str:
    """Id, base model, decision and gain, in columns."""
    gain = "" if record.delta_em is None else f"{record.delta_em:+.1f} EM"
    promoted = {True: "promoted", False: "not promoted", None: "unknown"}[record.promoted]
    return f"{record.id:<22}  {promoted:<13} {gain:<9} {record.base_model or ''}"
