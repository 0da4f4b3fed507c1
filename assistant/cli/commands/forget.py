"""``forget``: takes a path, a commit or an author out of index and corpus, for good."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.forget_targets import meant, meant_entry
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client.shutdown import stop_server
from git_copilot.assistant.context.catch_up import mine_commits, sync_index
from git_copilot.assistant.context.repository import RepositoryContext, initialised_repository
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.sharing.adapter_commits import drop_local_ref, shared_with
from git_copilot.hooks.launch import start_worker, stop_worker
from git_copilot.hooks.worker import queue_state
from git_copilot.index.core.files import file_lock
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import forget
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.forget import AUTHOR, COMMIT, PATH, ForgetRule, RemovalCounts

# What a refresh and an evaluation leave when they are interrupted, and the lock of a refresh. Importing
# pipeline.py and eval_run.py would load torch.
WORK, LOCK = (".work", ".eval"), ".lock"
NOTES = {
    COMMIT: "the files stay in the index as they are now; only the examples mined from it are removed",
    AUTHOR: "the files stay in the index: it shows them as they are, whoever wrote them",
}


@dataclass(frozen=True, slots=True)
class _Learnt:
    """An adapter that learnt from so many of the ``commits``; ``None``: it does not say. ``shared``:
    the remotes that had it when they were last asked."""

    id: str
    current: bool
    commits: int | None
    shared: list[str]


@click.command("forget")
@click.argument(
    "what", required=False, metavar="PATH|COMMIT|AUTHOR", shell_complete=shell_completion.files
)
@click.option("--path", "kind", flag_value=PATH, help="WHAT is a path, a folder or a glob.")
@click.option("--commit", "kind", flag_value=COMMIT, help="WHAT is a commit.")
@click.option(
    "--author", "kind", flag_value=AUTHOR, help="WHAT is an author: a name, an address, or both."
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--undo", is_flag=True, help="Remove the exclusion and re-index.")
@click.option("--list", "listed", is_flag=True, help="List exclusions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def forget_command(
    host: Host,
    /,
    what: str | None,
    kind: str | None,
    dry_run: bool,
    undo: bool,
    listed: bool,
    as_json: bool,
) -> int:
    """Remove a path, a commit or an author from the index and the corpus, permanently.

    It is not indexed again. Adapters that were trained on it are listed: only a new refresh
    gets it out of them. Git's own history is not touched.
    """
    if listed == (what is not None) or listed + undo + dry_run > 1:
        raise click.UsageError("name one PATH, COMMIT or AUTHOR, or give --list alone")
    repo = initialised_repository()
    with Database(repo.state_dir / DATABASE_NAME) as db:
        if what is None:
            return _list(host, db, as_json=as_json)
        if undo:
            entry = meant_entry(repo, db, host.terminal.cwd, what, kind)
            return _undo(host, repo, db, entry, as_json=as_json)
        kind, value = meant(repo, db, host.terminal.cwd, what, kind)
        if dry_run:
            removed = forget.forget(db, kind, value, dry_run=True)
        else:
            removed = _forget(repo, db, kind, value)
    learnt = list(_adapters(repo, kind, value, removed))
    for each in () if dry_run else learnt:
        drop_local_ref(repo, each.id)
    report = _report(kind, value, removed, learnt, dry_run=dry_run)
    if as_json:
        host.terminal.echo(json.dumps(report))
    else:
        _print(host, report)
    return 0


def _forget(repo: GitRepository, db: Database, kind: str, value: str) -> RemovalCounts:
    """Forget, while nothing else reads what is to go: a refresh learns from it, the server has
    it in memory, and an interrupted training may hold it."""
    state = repo.state_dir
    folder = adapter_store.adapters_dir(state)
    with file_lock(folder / LOCK, "a refresh is running, which may be learning from it"):
        stop_worker(state)
        stop_server()  # the next completion starts another
        for name in WORK:
            shutil.rmtree(folder / name, ignore_errors=True)
        removed = forget.forget(db, kind, value)
        forget.scrub(db, state)
    if queue_state(state).pending:
        start_worker(state)
    return removed


def _adapters(
    repo: GitRepository, kind: str, value: str, removed: RemovalCounts
) -> Iterator[_Learnt]:
    """Adapters that may have learnt from it: commits of all of history count, because a hole
    that is not in the corpus any more may have been."""
    current = adapter_store.current_adapter(repo.state_dir)
    names = adapter_store.ids(repo.state_dir)
    touched = removed.commits | forget.commits_of(repo, kind, value) if names else frozenset()
    for name in names:
        commits = adapter_store.trained_on(repo.state_dir, name)
        if not commits or commits & touched:
            count = len(commits & touched) if commits else None
            yield _Learnt(name, name == current, count, shared_with(repo, name))


def _report(
    kind: str, value: str, removed: RemovalCounts, learnt: list[_Learnt], *, dry_run: bool
) -> dict[str, Any]:
    mend = [f"git copilot adapter rm {each.id}" for each in learnt]
    if learnt:
        mend.append("git copilot refresh")
    return {
        "kind": kind,
        "value": value,
        "dry_run": dry_run,
        "holes": removed.holes,
        "commits": len(removed.commits),
        "files": removed.files,
        "chunks": removed.chunks,
        "vectors": removed.vectors,
        "feedback": removed.feedback,
        "adapters": [
            {"id": each.id, "current": each.current, "commits": each.commits} for each in learnt
        ],
        "shared": {each.id: each.shared for each in learnt if each.shared},
        "mend": mend,
    }


def _print(host: Host, report: dict[str, Any]) -> None:
    echo = host.terminal.echo
    done = "would forget" if report["dry_run"] else "forgot"
    parts = [f"{report['holes']} holes of {report['commits']} commits"]
    parts += [f"{report[name]} {name}" for name in ("files", "chunks", "vectors")]
    if report["feedback"]:
        parts.append(f"{report['feedback']} completions people reported on")
    echo(f"{done} the {report['kind']} {host.terminal.name(report['value'])}: {', '.join(parts)}")
    if report["kind"] in NOTES:
        echo(NOTES[report["kind"]])
    for each in report["adapters"]:
        use = " (in use)" if each["current"] else ""
        said = (
            "does not say what it learnt from"
            if each["commits"] is None
            else f"learnt from {each['commits']} of the commits"
        )
        echo(f"adapter {each['id']}{use} {said}")
    for adapter, remotes in report["shared"].items():
        echo(f"adapter {adapter} was shared: {', '.join(remotes)} has a copy, which stays")
    if report["mend"]:
        echo("to take it out of what was learnt:")
    for command in report["mend"]:
        echo(f"  {command}")


def _list(host: Host, db: Database, *, as_json: bool) -> int:
    found = forget.entries(db)
    if as_json:
        rows = [{"kind": e.kind, "value": e.value, "time": e.time} for e in found]
        host.terminal.echo(json.dumps({"forgotten": rows}))
        return 0
    if not found:
        host.terminal.echo("nothing is forgotten")
    for entry in found:
        day = time.strftime("%F", time.localtime(entry.time))
        host.terminal.echo(f"{day}  {entry.kind:<8}{host.terminal.name(entry.value)}")
    return 0


def _undo(
    host: Host, repo: GitRepository, db: Database, entry: ForgetRule, *, as_json: bool
) -> int:
    settings = load_settings(repo)
    stop_server()  # it holds a view of before
    forget.undo(db, entry)
    bar = ProgressBar(host.terminal.err)
    try:
        context = RepositoryContext(repo, db, settings, progress=bar)
        commits = mine_commits(context)
        report = sync_index(context)
    finally:
        bar.finish()
    if as_json:
        facts = {"kind": entry.kind, "value": entry.value, "commits": commits}
        host.terminal.echo(json.dumps({**facts, "chunks": report.chunks_added}))
    else:
        host.terminal.echo(
            f"the {entry.kind} {host.terminal.name(entry.value)} is indexed again: {commits} commits mined, "
            f"{report.chunks_added} chunks added"
        )
    return 0
