"""``search``: run here, or in the warm server."""

from __future__ import annotations

import json
from pathlib import Path

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.completion.session import Workspace
from git_copilot.assistant.core.terminal import style
from git_copilot.index.git.repository import GitRepository


@click.command("search")
@click.argument("query", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the hits as one JSON object.")
@click.option("-n", "count", type=click.IntRange(1, 100), default=10, help="So many hits.")
@click.pass_obj
def search_command(host: Host, /, query: tuple[str, ...], as_json: bool, count: int) -> int:
    """Find code of this repository by words, by meaning and by defined name."""
    text = " ".join(query).encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not text:
        raise click.UsageError("the query is empty")
    # In this process GIT_DIR counts; the server has the client's folder only.
    repo = GitRepository.discover(host.terminal.cwd if host.in_server else None)
    workspace = host.session.workspace(repo, host.terminal.note)
    workspace.look()
    embedder = host.session.embedder(workspace.settings, host.terminal.note)
    tree, fresh = workspace.catch_up(embedder)
    if not fresh:
        host.terminal.note(_behind(workspace, tree))
    searcher = workspace.searcher(embedder, repo.view_name)
    hits, _, current = workspace.find(
        lambda overlay: searcher.search_code(text, count, embedder, overlay)
    )
    if not current:
        host.terminal.note("not all uncommitted changes were read in time; some may be missing")
    if as_json:
        rows = [
            {
                "path": h.path,
                "blob": h.blob,
                "start_line": h.start_line,
                "end_line": h.end_line,
                "score": round(h.score, 5),
                "sources": list(h.sources),
            }
            for h in hits
        ]
        index = {"tree": tree, "fresh": fresh and current}
        host.terminal.echo(json.dumps({"hits": rows, "index": index}))
        return 0
    if not hits:
        host.terminal.note(f"nothing found for {text!r}")
    prefix = Path()
    if repo.root is not None and host.terminal.cwd.resolve().is_relative_to(repo.root):
        depth = len(host.terminal.cwd.resolve().relative_to(repo.root).parts)
        prefix = Path(*[".."] * depth)
    for hit in hits:
        where = f"{host.terminal.name(str(prefix / hit.path))}:{hit.start_line}"
        host.terminal.echo(style(where, bold=True, fg="cyan"))
        for number, line in enumerate(hit.text.rstrip("\n").split("\n"), hit.start_line):
            host.terminal.echo(f"{number:>6}  {line}")
        host.terminal.echo("")
    return 0


def _behind(workspace: Workspace, tree: str) -> str:
    """Why the index does not stand for HEAD."""
    if workspace.db.read_only:
        return f"the index cannot be written here and stays at tree {tree[:12]}, behind HEAD"
    return "the index is still catching up; see `git copilot status --wait`"
