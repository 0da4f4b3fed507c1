"""``adapter``: lists, shows and chooses adapters."""

from __future__ import annotations

import json
from pathlib import Path

import click

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.folder_adapters import folders, use_for
from git_copilot.assistant.adapters.removal import remove
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.commands.adapter_bisect import adapter_bisect
from git_copilot.assistant.cli.commands.adapter_combining import (
    adapter_judge,
    adapter_merge,
    adapter_scale,
)
from git_copilot.assistant.cli.commands.adapter_export import adapter_export
from git_copilot.assistant.cli.commands.adapter_sharing import (
    adapter_fetch,
    adapter_log,
    adapter_pull,
    adapter_push,
)
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.repository import known_repository
from git_copilot.assistant.sharing.adapter_commits import drop_local_ref, shared_with
from git_copilot.index.core.errors import CopilotError


@click.group("adapter")
def adapter_command() -> None:
    """List, choose, combine and share the adapters that `refresh` trained."""


for command in (adapter_bisect, adapter_export, adapter_judge, adapter_merge, adapter_scale):
    adapter_command.add_command(command)
for command in (adapter_push, adapter_fetch, adapter_pull, adapter_log):
    adapter_command.add_command(command)


@adapter_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_list(host: Host, /, as_json: bool) -> int:
    """List all adapters, oldest first."""
    rows = adapter_store.list_adapters(_state())
    if as_json:
        host.terminal.echo(json.dumps([row.to_json() for row in rows]))
        return 0
    if not rows:
        host.terminal.echo("no adapter yet: `git copilot refresh` trains one")
    for row in rows:
        mark = "*" if row.current else " "
        gain = "" if row.delta_em is None else f"{row.delta_em:+.1f} EM"
        promoted = "promoted" if row.promoted else "not promoted"
        host.terminal.echo(f"{mark} {row.id:<24}{promoted:<14}{gain:<12}{row.base_model}")
    for folder, adapter in folders(_state()).items():
        host.terminal.echo(f"  {folder} uses {adapter}")
    return 0


@adapter_command.command("show")
@click.argument("adapter_id", metavar="ID", shell_complete=shell_completion.adapters)
@click.option("--report", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the page of its refresh instead.")  # fmt: skip
@click.pass_obj
def adapter_show(host: Host, /, adapter_id: str, page: Path | None) -> int:
    """Print an adapter's evidence."""
    if page is not None:
        from git_copilot.assistant.cli.report_page import require_folder, write_adapter_page

        require_folder(page)
        write_adapter_page(page, _state(), adapter_id)
        host.terminal.note(f"wrote {page}")
        return 0
    host.terminal.echo_block(json.dumps(adapter_store.read_report(_state(), adapter_id), indent=2))
    return 0


@adapter_command.command("use")
@click.argument("adapter_id", metavar="ID|none|default",
                shell_complete=shell_completion.adapters_or_none)  # fmt: skip
@click.option("--for", "folder", metavar="FOLDER", type=click.Path(path_type=Path),
              help="Only for the files of this folder.")  # fmt: skip
@click.pass_obj
def adapter_use(host: Host, /, adapter_id: str, folder: Path | None) -> int:
    """Use this adapter, or none.

    With --for, only the files of a folder are completed with it; `default` ends that.
    """
    chosen = None if adapter_id == "none" else adapter_id
    told = "no adapter" if chosen is None else chosen
    if folder is not None:
        name = _folder(host, folder)
        use_for(_state(), name, None if adapter_id == "default" else adapter_id)
        told = "what the repository uses" if adapter_id == "default" else told
        host.terminal.echo(f"{name} uses {told}")
        return 0
    if adapter_id == "default":
        raise click.UsageError("`default` is for --for")
    adapter_store.use(_state(), chosen)
    host.terminal.echo(f"this repository uses {told}")
    return 0


def _folder(host: Host, given: Path) -> str:
    """The path of a folder from the top of the repository.

    :raises CopilotError: it is no folder below the top.
    """
    root = known_repository().root
    place = (host.terminal.cwd / given).resolve()
    if root is None or not place.is_dir() or root.resolve() not in place.parents:
        raise CopilotError(
            f"{given} is not a folder of this repository",
            "name one below its top; without --for an adapter serves all",
        )
    return place.relative_to(root.resolve()).as_posix()


@adapter_command.command("rm")
@click.argument("adapters", metavar="ID...", nargs=-1, required=True,
                shell_complete=shell_completion.adapters)  # fmt: skip
@click.pass_obj
def adapter_rm(host: Host, /, adapters: tuple[str, ...]) -> int:
    """Delete adapters; of one that is in use the base model takes the place."""
    repo = known_repository()
    for adapter in adapters:
        remotes = shared_with(repo, adapter)
        in_use = remove(repo.state_dir, adapter)
        drop_local_ref(repo, adapter)
        if remotes:
            host.terminal.note(f"{adapter} is also on {', '.join(remotes)}, where it stays")
        host.terminal.echo(f"deleted {adapter}{', which was in use' if in_use else ''}")
    return 0


@adapter_command.command("rollback")
@click.pass_obj
def adapter_rollback(host: Host, /) -> int:
    """Go back to the adapter used before."""
    previous = adapter_store.rollback(_state())
    host.terminal.echo(f"this repository uses {previous or 'no adapter'}")
    return 0


def _state() -> Path:
    return known_repository().state_dir
