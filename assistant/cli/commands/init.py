"""``init``: makes a repository known, indexes it and installs the hooks."""

from __future__ import annotations

import click

from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.agents_file import FILE, add_section
from git_copilot.assistant.cli.commands.hooks import tell_hooks
from git_copilot.assistant.cli.commands.model import announce_download, use_model
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.catch_up import mine_commits, sync_index
from git_copilot.assistant.context.repository import open_context
from git_copilot.assistant.core.config import display_name, load_settings, skipped_settings
from git_copilot.assistant.core.missing_history import lack_facts, lack_lines
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.models import catalogue
from git_copilot.assistant.refresh.schedule import record_baseline
from git_copilot.hooks.install import install, prepare
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository


@click.command("init")
@click.option("--no-hooks", is_flag=True, help="Do not install hooks.")
@click.option("--model", metavar="NAME", help="Use this model in this repository.",
              shell_complete=shell_completion.completion_models)  # fmt: skip
@click.option("--adopt", is_flag=True, help="Keep an existing index that is not known to be yours.")
@click.option("--agents", is_flag=True, help="Tell coding agents in AGENTS.md how to ask.")
@click.pass_obj
def init_command(
    host: Host, /, no_hooks: bool, model: str | None, adopt: bool, agents: bool
) -> int:
    """Set up this repository: get the models, index HEAD, mine the history, install hooks.

    Safe to run again: it does only what is missing.
    """
    repo = GitRepository.discover()
    _make_known(host, repo, adopt=adopt)
    if model is not None:
        use_model(repo, model)
    settings = load_settings(repo, warn=host.terminal.note)
    bar = ProgressBar(host.terminal.err)
    try:
        _pull_for_init(host, (settings.model, settings.embedder), bar)
        with open_context(repo, settings, create=True, progress=bar) as opened:
            from git_copilot.index.corpus.mining import corpus_counts

            report = sync_index(opened)
            new_commits = mine_commits(opened)
            corpus = corpus_counts(opened.db)
            missing = lack_lines(lack_facts(repo, opened.db))
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
    if agents:
        _tell_agents(host, repo)
    if first_refresh and corpus["holes"]:
        host.terminal.echo(
            "adapter   none yet: `git copilot refresh` trains one now, and it starts by itself "
            f"after {settings.refresh_commits} more commits"
            if settings.refresh_commits
            else "adapter   none yet: `git copilot refresh` trains one"
        )
    host.terminal.echo(f"model     {settings.model} in {catalogue.model_folder(settings.model)}")
    if settings.model == catalogue.SMOLLM2.name:
        better = catalogue.better_model()
        advice = f"`git copilot model use {better} --pull`" if better else "a configured server"
        host.terminal.echo(f"          better completions: {advice}")
    return 0


def _tell_agents(host: Host, repo: GitRepository) -> None:
    if repo.root is None:
        host.terminal.note(f"a bare repository has no {FILE} to add to")
        return
    added = add_section(repo.root)
    host.terminal.echo(f"agents    {'added to' if added else 'already in'} {FILE}")


def _make_known(host: Host, repo: GitRepository, *, adopt: bool) -> None:
    """Trust the repository; report what its own configuration sets, which counts from now on."""
    said = [entry.key for entry in skipped_settings(repo)]
    aside = trust_repository(repo.state_dir, adopt=adopt)
    if aside is not None:
        host.terminal.echo(
            f"state     a new one: what was in {repo.state_dir} is not known to be yours and lies "
            f"in {aside}"
        )
    values = repo.config("copilot")
    for key in dict.fromkeys(said):
        host.terminal.echo(
            f"settings  this repository's configuration counts now: "
            f"{display_name(key)} is {values.get(key, '')!r}"
        )


def _pull_for_init(host: Host, names: tuple[str, ...], bar: ProgressBar) -> None:
    """Download missing models. Without an embedder, search by words and definitions works."""
    from git_copilot.assistant.models.pull import pull

    for name in names:
        if not catalogue.is_ready(name):
            announce_download(host, name)
            folder, _ = pull(name, progress=bar)
            bar.finish()
            host.terminal.echo(f"pulled    {name} into {folder}")
