"""``serve``: the warm server, started, queried and stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from git_copilot.assistant.cli.http_options import HttpOptions, settings_here, tell_http
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client import address, transport
from git_copilot.assistant.client.shutdown import stop_server
from git_copilot.assistant.diagnostics.status import server_facts
from git_copilot.index.core.errors import CopilotError


@click.command("serve")
@click.option(
    "--http", "address", metavar="HOST:PORT", help="Also answer HTTP on this loopback address."
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the token that HTTP clients show; made if it is missing.",
)
@click.option("--no-token", is_flag=True, help="Let every program of this machine use HTTP.")
@click.option("--install", is_flag=True, help="Start the server when this user logs in.")
@click.option("--uninstall", is_flag=True, help="Undo --install.")
@click.option("--foreground", is_flag=True, help="Serve in this terminal until interrupted.")
@click.option("--stop", is_flag=True, help="Stop the running server.")
@click.option("--status", is_flag=True, help="Show whether a server is running.")
@click.option("--json", "as_json", is_flag=True, help="With --status: print JSON.")
@click.option("--background", is_flag=True, hidden=True)
@click.pass_obj
def serve_command(host: Host, /, **options: Any) -> int:
    """Keep the model loaded for this user's completions. `complete` starts a server if needed."""
    if options["stop"]:
        host.terminal.note(stop_server() or "no server is running")
        return 0
    facts = server_facts()
    if options["status"]:
        return _status(host, facts, as_json=options["as_json"])
    if options["token_file"] and options["no_token"]:
        raise click.UsageError("--token-file and --no-token exclude each other")
    settings = settings_here()
    http = HttpOptions.of(
        options["address"], options["token_file"], settings, no_token=options["no_token"]
    )
    if options["install"] or options["uninstall"]:
        from git_copilot.assistant.cli.login_service import install_service, uninstall_service

        told = install_service(http) if options["install"] else uninstall_service()
        host.terminal.note(told)
        return 0
    if options["background"]:
        return _background(host, settings.server_idle, http)
    if facts is not None and ("answers" in facts or http.satisfied_by(facts)):
        return _already_running(host, facts)
    http.check(facts)
    if facts is not None:  # it runs without what is asked for, and makes room
        stop_server()
    if options["foreground"]:
        return _foreground(host, settings.server_idle, http)
    return _start(host, http)


def _start(host: Host, http: HttpOptions) -> int:
    """Start a server in the background."""
    from git_copilot.assistant.server.launch import start_server

    address.secure_runtime_dir()
    started = start_server(http.arguments(), str(host.terminal.cwd))
    pid = transport.wait_for_server(transport.START_SECONDS)
    if pid is None:
        raise CopilotError("the server did not start", "see `git copilot serve --foreground`")
    told = "server started" if pid == started else "the server is already running"
    host.terminal.note(f"{told} (pid {pid})")
    tell_http(host.terminal, server_facts() or {})
    return 0


def _foreground(host: Host, idle_seconds: float, http: HttpOptions) -> int:
    """Be the server, in this terminal."""
    from git_copilot.assistant.server.launch import run_server

    listener = http.listener(host.terminal.cwd)
    if listener is not None:
        facts = {"http": listener.address, "http_token_file": listener.token_file}
        tell_http(host.terminal, facts)
    return run_server(idle_seconds, foreground=True, listener=listener)


def _background(host: Host, idle_seconds: float, http: HttpOptions) -> int:
    """Be the server that another process has started. HTTP that only the settings ask for must not
    keep it from serving the socket."""
    from git_copilot.assistant.server.launch import run_server

    listener, problem = None, None
    try:
        listener = http.listener(host.terminal.cwd)
    except CopilotError as exc:
        if http.asked:
            raise
        problem = f"{exc.message}; {exc.hint}"
    return run_server(idle_seconds, listener=listener, http_problem=problem)


def _already_running(host: Host, facts: dict[str, Any]) -> int:
    """Say which server runs.

    :raises CopilotError: it does not answer.
    """
    if "answers" in facts:
        raise CopilotError(f"{_named(facts)} does not answer", "`git copilot serve --stop` ends it")
    host.terminal.note(f"the server is already running (pid {facts['pid']})")
    tell_http(host.terminal, facts)
    return 0


def _named(facts: dict[str, Any]) -> str:
    return f"server {facts['pid']}" if facts["pid"] else "the server"


def _status(host: Host, facts: dict[str, Any] | None, *, as_json: bool) -> int:
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
            f"{facts['requests']} requests in {facts['uptime_s']} s, "
            f"{facts.get('cut_prompts', 0)} with prompts cut for copilot.latencyMs"
        )
        tell_http(host.terminal, facts)
    return 0
