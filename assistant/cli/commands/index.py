"""``index`` and ``index gc``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.catch_up import mine_commits, sync_index
from git_copilot.assistant.context.repository import (
    initialised_repository,
    known_repository,
    open_context,
)
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.missing_history import lack_facts, lack_lines
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.worker.rebuild import rebuild as rebuild_index
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.spool import Spool
from git_copilot.hooks.worker import queue_state
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.garbage_collection import GRACE_DAYS, collect, shrink


@click.group("index", invoke_without_command=True)
@click.option(
    "--rebuild", is_flag=True, help="Rebuild from scratch; the old index is used until it is done."
)
@click.option("--why", metavar="PATH", help="Show whether a file is indexed, and if not, why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def index_command(context: click.Context, /, rebuild: bool, why: str | None, as_json: bool) -> int:
    """Update the index and the corpus to HEAD. Hooks and queries do this automatically."""
    if context.invoked_subcommand is not None:
        return 0
    host: Host = context.obj
    if why is not None:
        if rebuild:
            raise click.UsageError("--why cannot be combined with --rebuild")
        return _explain_path(host, why, as_json=as_json)
    repo = known_repository() if rebuild else initialised_repository()
    settings = load_settings(repo, warn=host.terminal.note)
    bar = ProgressBar(host.terminal.err)
    try:
        if rebuild:
            report = rebuild_index(repo, settings, host.terminal.note, bar)
            mined = 0
        else:
            with open_context(repo, settings, create=True, progress=bar) as opened:
                report = sync_index(opened)
                mined = mine_commits(opened)
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


def _explain_path(host: Host, given: str, *, as_json: bool) -> int:
    """``index --why``."""
    found = host.service.explain_path(given, Path.cwd())
    for line in [json.dumps(found.fields())] if as_json else found.lines():
        host.terminal.echo(line)
    return 0


@index_command.command("gc")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=GRACE_DAYS,
    metavar="DAYS",
    help=f"Keep what was in use in the last DAYS days ({GRACE_DAYS:g}).",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def gc_command(host: Host, /, grace: float, dry_run: bool, as_json: bool) -> int:
    """Remove what no worktree and no recent branch uses. The worker does this once a day."""
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
        f"{'would remove' if dry_run else 'removed'} {found.blobs} unused files, "
        f"with {found.chunks} chunks and {found.vectors} vectors, and {found.views} views; "
        f"{freed / 2**20:.1f} MB freed"
    )
    return 0
