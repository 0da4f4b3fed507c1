"""``secrets``: what is excluded because it looks like a secret, and what is allowed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import click

from git_copilot.assistant.cli.forget_targets import as_path
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client.shutdown import stop_server
from git_copilot.assistant.context.catch_up import mine_commits, sync_index
from git_copilot.assistant.context.repository import RepositoryContext, initialised_repository
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.hooks.launch import start_worker, stop_worker
from git_copilot.hooks.worker import queue_state
from git_copilot.index.audit import reindex
from git_copilot.index.audit.secret_report import ExcludedSecret, excluded_secrets, secrets_in_text
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import file_lock
from git_copilot.index.filters.rules import exclusion_reasons
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import allowed_lines, forget
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.text.classify import MAX_FILE_BYTES
from git_copilot.index.text.secret_files import REASON

_PLACE = re.compile(r"(?P<path>.+?)(?::(?P<line>[0-9]{1,9}))?", re.DOTALL)
ALL = "`git copilot secrets` lists what is kept out"


@click.group("secrets", invoke_without_command=True)
@click.option("--uncommitted", is_flag=True, help="Scan the worktree instead of HEAD.")
@click.option("--allowed", "taken_in", is_flag=True, help="List allowed lines.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def secrets_command(
    context: click.Context, /, uncommitted: bool, taken_in: bool, as_json: bool
) -> int:
    """List what is excluded from the index and the corpus because it looks like a secret.

    Shows each location and its kind, never the value.
    """
    if context.invoked_subcommand is not None:
        return 0
    host: Host = context.obj
    repo = initialised_repository()
    with Database(repo.state_dir / DATABASE_NAME) as db:
        if taken_in:
            return _list_allowed(host, db, as_json=as_json)
        found = list(excluded_secrets(repo, db, allowed_lines.load(db), uncommitted=uncommitted))
    shown = [each for each in found if not each.allowed]
    if as_json:
        rows = [{"path": e.path, "line": e.line, "kind": e.kind, "masked": e.masked} for e in shown]
        host.terminal.echo(json.dumps({"secrets": rows, "allowed": len(found) - len(shown)}))
        return 0
    for each in shown:
        name = host.terminal.name(each.path)
        place = f"{name}:{each.line}" if each.line else name
        host.terminal.echo(f"{place}: {each.kind}" + (f": {each.masked}" if each.masked else ""))
    if not shown:
        host.terminal.echo("nothing looks like a secret")
    return 0


def _list_allowed(host: Host, db: Database, *, as_json: bool) -> int:
    found = allowed_lines.entries(db)
    if as_json:
        rows = [{"path": e.path, "line": e.line, "time": e.time} for e in found]
        host.terminal.echo(json.dumps({"allowed": rows}))
        return 0
    for entry in found:
        day = time.strftime("%F", time.localtime(entry.time))
        host.terminal.echo(f"{day}  {host.terminal.name(entry.path)}:{entry.line}")
    if not found:
        host.terminal.echo("nothing is allowed")
    return 0


@secrets_command.command("allow")
@click.argument("place", metavar="PATH[:LINE]")
@click.option("--undo", is_flag=True, help="Undo `allow`, as `forbid` does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def allow_command(host: Host, /, place: str, undo: bool, as_json: bool) -> int:
    """Allow a line that only looks like a secret, or all such lines of a file.

    A line is known by its text: it stays allowed where it is moved or copied to. Nothing is
    written into the repository's files.
    """
    if undo:
        return _forbid(host, place, as_json=as_json)
    repo = initialised_repository()
    path, line = _place(repo, host.terminal.cwd, place)
    if exclusion_reasons(repo, repo.head_tree_or_empty(), [path]).get(path) == REASON:
        raise CopilotError(
            f"{path} is left out whole, since its name is that of a file of secrets",
            f"the line `/{path} copilot` in .gitattributes or .git/info/attributes includes it",
        )
    found = [e for e in _of_file(repo, path) if not line or any(n == line for n, _ in e.lines)]
    if not found:
        raise CopilotError(f"{place} does not look like a secret", ALL)
    lines = [(path, number, mark) for each in found for number, mark in each.lines]
    with Database(repo.state_dir / DATABASE_NAME) as db:
        stop_server()  # it holds files that were cut before
        files = reindex.allow_lines(repo, db, lines)
        _catch_up(host, repo, db)
    return _told(host, "allowed", path, len(lines), files, as_json=as_json)


@secrets_command.command("forbid")
@click.argument("place", metavar="PATH[:LINE]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def forbid_command(host: Host, /, place: str, as_json: bool) -> int:
    """Undo `allow`."""
    return _forbid(host, place, as_json=as_json)


def _forbid(host: Host, place: str, *, as_json: bool) -> int:
    repo = initialised_repository()
    state = repo.state_dir
    path, line = _place(repo, host.terminal.cwd, place)
    with Database(state / DATABASE_NAME) as db:
        marks = {mark for each in _of_file(repo, path) for n, mark in each.lines if n == line}
        found = [
            e
            for e in allowed_lines.entries(db)
            if e.path == path and (not line or e.line == line or e.fingerprint in marks)
        ]
        if not found:
            raise CopilotError(
                f"nothing is allowed at {place}", "`git copilot secrets --allowed` lists what is"
            )
        with file_lock(
            state / "adapters" / ".lock", "a refresh is running, which may learn from it"
        ):
            stop_worker(state)
            stop_server()
            files = reindex.disallow_lines(repo, db, found)
            forget.scrub(db, state)
        _catch_up(host, repo, db)
    if queue_state(state).pending:
        start_worker(state)
    return _told(host, "excluded", path, len(found), files, as_json=as_json)


def _place(repo: GitRepository, cwd: Path, place: str) -> tuple[str, int]:
    """The path as git writes it, and the line; 0: none is named."""
    match = _PLACE.fullmatch(place)
    assert match is not None
    path = as_path(repo, cwd, match["path"], must=True)
    assert path is not None
    return path, int(match["line"] or 0)


def _of_file(repo: GitRepository, path: str) -> Iterator[ExcludedSecret]:
    """What looks like a secret in a file as it lies here, or else as HEAD has it."""
    file = repo.root / path if repo.root is not None else None
    if file is not None and file.is_file() and not file.is_symlink():
        with file.open("rb") as stream:
            return secrets_in_text(path, stream.read(MAX_FILE_BYTES), frozenset())
    entries = [e for e in repo.entries(repo.head_tree_or_empty(), [path]) if e.path == path]
    return (
        secrets_in_text(path, repo.read_blob(entries[0].oid), frozenset()) if entries else iter(())
    )


def _catch_up(host: Host, repo: GitRepository, db: Database) -> None:
    """Mine what lost holes to secrets, and embed what was cut anew."""
    settings = load_settings(repo)
    bar = ProgressBar(host.terminal.err)
    try:
        context = RepositoryContext(repo, db, settings, progress=bar)
        mine_commits(context)
        sync_index(context)
    finally:
        bar.finish()


def _told(host: Host, done: str, path: str, lines: int, files: int, *, as_json: bool) -> int:
    if as_json:
        host.terminal.echo(json.dumps({"path": path, "lines": lines, "files": files}))
    else:
        ending = "" if lines == 1 else "s"
        name = host.terminal.name(path)
        host.terminal.echo(f"{done} {lines} line{ending} of {name} ({files} files re-indexed)")
    return 0
