"""``status`` and ``index``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from git_copilot.assistant.cli import Host
from git_copilot.assistant.config import load_settings
from git_copilot.assistant.jobs import (
    initialised_repository,
    known_repository,
    mine_repository,
    sync_repository,
)
from git_copilot.assistant.lacking import lack_facts, lack_lines
from git_copilot.assistant.progress import ProgressBar
from git_copilot.assistant.rebuild import rebuild as make_anew
from git_copilot.assistant.status import read_status, wait_until_done
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.spool import Spool
from git_copilot.hooks.worker import queue_state
from git_copilot.index.collect import GRACE_DAYS, collect, shrink
from git_copilot.index.db import DATABASE_NAME, Database


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


@click.group("index", invoke_without_command=True)
@click.option("--rebuild", is_flag=True, help="Make it anew; the old one stays until then.")
@click.option("--why", metavar="PATH", help="Say whether a file is indexed, and if not, why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def index_command(context: click.Context, /, rebuild: bool, why: str | None, as_json: bool) -> int:
    """Bring index and corpus level with HEAD by hand. Hooks and queries do it by themselves."""
    if context.invoked_subcommand is not None:
        return 0
    host: Host = context.obj
    if why is not None:
        if rebuild:
            raise click.UsageError("--why only looks; it cannot be given with --rebuild")
        return _say_why(host, why, as_json=as_json)
    repo = known_repository() if rebuild else initialised_repository()
    settings = load_settings(repo, warn=host.terminal.note)
    bar = ProgressBar(host.terminal.err)
    try:
        if rebuild:
            report = make_anew(repo, settings, host.terminal.note, bar)
            mined = 0
        else:
            report = sync_repository(repo, settings, bar)
            mined = mine_repository(repo, settings, bar)
    finally:
        bar.finish()
    # What was given up may work now, and what was committed meanwhile waits for a worker.
    if Spool(repo.state_dir).retry() or (rebuild and queue_state(repo.state_dir).pending):
        start_worker(repo.state_dir)
    fields = dataclasses.asdict(report)
    if as_json:
        fields["seconds"] = round(report.seconds, 3)
        host.terminal.echo(json.dumps(fields))
    else:
        host.terminal.echo(
            f"tree {report.tree[:12]}: {report.blobs_added} files added, "
            f"{report.blobs_removed} removed, {report.chunks_added} chunks added, "
            f"{report.chunks_embedded} embedded in {report.seconds:.2f} s"
        )
        if mined:
            host.terminal.echo(f"{mined} commits mined")
        with Database(repo.state_dir / DATABASE_NAME) as db:
            for line in lack_lines(lack_facts(repo, db)):
                host.terminal.echo(line)
    return 0


def _say_why(host: Host, given: str, *, as_json: bool) -> int:
    """``index --why``."""
    from git_copilot.index.why import explain_path, path_in

    repo = initialised_repository()
    with Database(repo.state_dir / DATABASE_NAME) as db:
        found = explain_path(repo, db, path_in(repo, given, Path.cwd()))
    for line in [json.dumps(found.fields())] if as_json else found.lines():
        host.terminal.echo(line)
    return 0


@index_command.command("gc")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=GRACE_DAYS,
    metavar="DAYS",
    help=f"Keep what was shown in the last DAYS days ({GRACE_DAYS:g}).",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def gc_command(host: Host, /, grace: float, dry_run: bool, as_json: bool) -> int:
    """Remove what no worktree and no recent branch shows. The worker does it once a day."""
    repo = initialised_repository()
    embedder = load_settings(repo).embedder
    with Database(repo.state_dir / DATABASE_NAME) as db:
        found = collect(repo, db, embedder=embedder, grace_days=grace, dry_run=dry_run)
        freed = 0 if dry_run else shrink(db)
    if as_json:
        fields = {**dataclasses.asdict(found), "freed_bytes": freed}
        host.terminal.echo(json.dumps({**fields, "seconds": round(found.seconds, 3)}))
        return 0
    host.terminal.echo(
        f"{'would remove' if dry_run else 'removed'} {found.blobs} files that nothing shows, "
        f"with {found.chunks} chunks and {found.vectors} vectors, and {found.views} views; "
        f"{freed / 2**20:.1f} MB freed"
    )
    return 0
