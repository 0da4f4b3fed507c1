"""``serve``: the warm server, started, queried and stopped."""

from __future__ import annotations

import json

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client import address, transport
from git_copilot.assistant.client.shutdown import stop_server
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.diagnostics.status import server_facts
from git_copilot.index.core.errors import CopilotError, NotARepository
from git_copilot.index.git.repository import GitRepository


@click.command("serve")
@click.option("--foreground", is_flag=True, help="Serve in this terminal until interrupted.")
@click.option("--stop", is_flag=True, help="Stop the running server.")
@click.option("--status", is_flag=True, help="Show whether a server is running.")
@click.option("--json", "as_json", is_flag=True, help="With --status: print JSON.")
@click.option("--background", is_flag=True, hidden=True)
@click.pass_obj
def serve_command(
    host: Host, /, foreground: bool, stop: bool, status: bool, as_json: bool, background: bool
) -> int:
    """Keep the model loaded for this user's completions. `complete` starts a server if needed."""
    if stop:
        host.terminal.note(stop_server() or "no server is running")
        return 0
    facts = server_facts()
    if status:
        return _status(host, facts, as_json=as_json)
    if facts is not None and "answers" in facts:
        raise CopilotError(f"{_named(facts)} does not answer", "`git copilot serve --stop` ends it")
    if facts is not None:
        host.terminal.note(f"the server is already running (pid {facts['pid']})")
        return 0
    if foreground or background:
        from git_copilot.assistant.server.launch import run_server

        return run_server(_idle_seconds(), foreground=foreground)
    from git_copilot.assistant.server.launch import start_server

    address.secure_runtime_dir()
    started = start_server()
    pid = transport.wait_for_server(transport.START_SECONDS)
    if pid is None:
        raise CopilotError("the server did not start", "see `git copilot serve --foreground`")
    told = "server started" if pid == started else "the server is already running"
    host.terminal.note(f"{told} (pid {pid})")
    return 0


def _idle_seconds() -> float:
    """The user's setting, where the server starts in a repository; else the default."""
    try:
        return load_settings(GitRepository.discover()).server_idle
    except NotARepository:
        return load_settings(None).server_idle


def _named(facts: dict[str, object]) -> str:
    return f"server {facts['pid']}" if facts["pid"] else "the server"


def _status(host: Host, facts: dict[str, object] | None, *, as_json: bool) -> int:
    if as_json:
        running = {"running": facts is not None, "pid": None}
        host.terminal.echo(json.dumps({**running, **(facts or {})}))
    elif facts is None:
        host.terminal.echo("no server is running")
    elif "answers" in facts:
        host.terminal.echo(
            f"{_named(facts)} does not answer within {transport.STATUS_SECONDS:g} s: busy, or stuck; "
            "`git copilot serve --stop` ends it"
        )
    else:
        host.terminal.echo(
            f"server {facts['pid']} runs, version {facts['version']}, "
            f"{facts['requests']} requests in {facts['uptime_s']} s"
        )
    return 0
