"""``status``."""

from __future__ import annotations

import json
from typing import Any

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.repository import initialised_repository
from git_copilot.assistant.core.missing_history import lack_lines
from git_copilot.assistant.diagnostics.status import read_status, wait_until_done


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--wait", is_flag=True, help="Return when nothing is pending and the index is fresh.")
@click.option("--timeout", type=float, default=120.0, metavar="S", help="Wait at most so long.")
@click.pass_obj
def status_command(host: Host, /, as_json: bool, wait: bool, timeout: float) -> int:
    """Say what is known of this repository, what is pending and what runs."""
    repo = initialised_repository()
    if wait:
        wait_until_done(repo, timeout)
    facts = read_status(repo)
    if as_json:
        host.terminal.echo(json.dumps(facts))
        return 0
    index, corpus, queue = facts["index"], facts["corpus"], facts["queue"]
    adapters, hooks, server = facts["adapters"], facts["hooks"], facts["server"]
    fresh = "fresh" if index["fresh"] else "behind HEAD"
    if index["fresh"] and index["vectors"] < index["chunks"]:
        fresh = "HEAD's, but vectors are missing"
    tree = (index["tree"] or "nothing")[:12]
    lines = [
        f"index     {tree}, {fresh}: {index['files']} files, {index['chunks']} chunks, "
        f"{index['vectors']} vectors",
        f"secrets   {index['secrets']} lines look like secrets and are left out",
        *_left_out(index["left_out"]),
        f"corpus    {corpus['holes']} holes of {corpus['commits']} commits "
        f"by {corpus['authors']} authors",
        *(f"missing   {line}" for line in lack_lines(facts["missing"])),
        f"adapter   {adapters['current'] or 'none'} ({adapters['count']} kept)",
        f"queue     {queue['pending']} pending, {queue['running'] or 'nothing'} running",
        f"hooks     {', '.join(hooks['installed']) or 'none'}"
        + (f" ({hooks['via']})" if hooks["via"] else ""),
        f"server    {_server(server)}",
        f"model     {facts['model']['name']}" + _model_remark(facts),
    ]
    if facts["endpoint"]:
        lines.append(f"endpoint  {facts['endpoint']['message']}")
    lines += [
        f"failed    {s['kind']} after {s['attempts']} tries: {s['error']}"
        for s in queue["set_aside"]
    ]
    for line in lines:
        host.terminal.echo(line)
    return 0


def _left_out(counts: dict[str, int]) -> list[str]:
    """One line on the files that are left out, or none."""
    if not counts:
        return []
    said = ", ".join(f"{number} {reason}" for reason, number in counts.items())
    return [f"left out  {sum(counts.values())} files: {said} (`git copilot index --why PATH`)"]


def _server(state: dict[str, Any]) -> str:
    died = state.get("died")
    told = f"; one (pid {died['pid']}) died, see {died['log']}" if died else ""
    if not state["running"]:
        return f"not running{told}"
    stuck = "" if state.get("answers", True) else ", does not answer: `git copilot serve --stop`"
    return f"pid {state['pid'] or 'unknown'}{stuck}{told}"


def _model_remark(facts: dict[str, Any]) -> str:
    """What is to be said of a model that is not here."""
    if facts["model"]["ready"]:
        return ""
    return ", not here" + ("" if facts["endpoint"] else ": `git copilot model pull`")
