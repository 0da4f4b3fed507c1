"""``status``."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from git_copilot.assistant.api.requests import StatusRequest
from git_copilot.assistant.api.status import RefreshStatus, ServerStatus, StatusAnswer
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.core.missing_history import lack_lines
from git_copilot.assistant.core.progress import duration


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--wait", is_flag=True, help="Return when nothing is pending and the index is fresh.")
@click.option("--timeout", type=float, default=120.0, metavar="S", help="Maximum wait, in seconds.")
@click.pass_obj
def status_command(host: Host, /, as_json: bool, wait: bool, timeout: float) -> int:
    """Show what is indexed, pending, installed and running."""
    status = host.service.status(StatusRequest(wait_s=timeout if wait else None))
    if as_json:
        host.terminal.echo(json.dumps(status.to_json()))
        return 0
    index, corpus, queue = status.index, status.corpus, status.queue
    adapters, hooks = status.adapters, status.hooks
    fresh = "fresh" if index.fresh else "behind HEAD"
    if index.fresh and index.vectors < index.chunks:
        fresh = "HEAD's, but vectors are missing"
    tree = (index.tree or "nothing")[:12]
    lines = [
        f"index     {tree}, {fresh}: {index.files} files, {index.chunks} chunks, "
        f"{index.vectors} vectors",
        f"secrets   {index.secrets} lines excluded as possible secrets",
        *_left_out(index.left_out),
        f"corpus    {corpus.holes} holes of {corpus.commits} commits by {corpus.authors} authors",
        *(f"missing   {line}" for line in lack_lines(status.missing)),
        f"adapter   {adapters.current or 'none'} ({adapters.count} kept)",
        *(f"          {remark}" for remark in status.adapter_remarks),
        f"training  {_refresh(status.refresh)}",
        f"queue     {queue.pending} pending, {queue.running or 'nothing'} running",
        f"hooks     {', '.join(hooks.installed) or 'none'}"
        + (f" ({hooks.via})" if hooks.via else ""),
        f"server    {_server(status.server)}",
        f"model     {status.model.name}" + _model_remark(status),
    ]
    if status.model.precision and not status.endpoint:
        lines.append(f"precision {status.model.precision}")
    if status.endpoint:
        lines.append(f"endpoint  {status.endpoint.message}")
    lines += [f"failed    {s.kind} after {s.attempts} tries: {s.error}" for s in queue.set_aside]
    for line in lines:
        host.terminal.echo(line)
    return 0


def _left_out(counts: Mapping[str, int]) -> list[str]:
    """One line on files that are not indexed, or none."""
    if not counts:
        return []
    said = ", ".join(f"{number} {reason}" for reason, number in counts.items())
    return [f"left out  {sum(counts.values())} files: {said} (`git copilot index --why PATH`)"]


def _refresh(state: RefreshStatus) -> str:
    if state.pid is None:
        if not state.starts_after:
            return f"{state.new_commits} new commits; never starts by itself"
        return f"{state.new_commits} new commits; starts by itself at {state.starts_after}"
    phase = state.phase or "not begun"
    part = f" {state.done}/{state.total}" if state.total else ""
    left = "" if state.seconds_left is None else f", about {duration(state.seconds_left)} left"
    waits = f", waiting: {state.waits}" if state.waits else ""
    return f"{phase}{part}{left}{waits} (pid {state.pid})"


def _server(state: ServerStatus) -> str:
    died = state.died
    told = f"; one (pid {died.pid}) died, see {died.log}" if died else ""
    if not state.running:
        return f"not running{told}"
    stuck = "" if state.answers else ", does not answer: `git copilot serve --stop`"
    http = f", {state.http}" if state.http else ""
    if state.http_problem:
        http = f", no HTTP: {state.http_problem}"
    cut = (
        f", {state.cut_prompts} prompts were cut for copilot.latencyMs" if state.cut_prompts else ""
    )
    return f"pid {state.pid or 'unknown'}{http}{cut}{stuck}{told}"


def _model_remark(status: StatusAnswer) -> str:
    """A remark on a model that is not here, or nothing."""
    if status.model.ready:
        return ""
    return ", not here" + ("" if status.endpoint else ": `git copilot model pull`")
