"""``corpus``: statistics, samples, an explanation of one hole, export."""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from git_copilot.assistant.cli.display import Look, explanation_lines, figures_lines, sample_lines
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client.output import path_to_top
from git_copilot.assistant.context.repository import RepositoryContext, initialised_repository
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.missing_history import lack_facts, lack_lines
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.dataset.statistics import corpus_figures
from git_copilot.index.corpus.survival import update_survival
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database

SEEDS = 10_000
no_update = click.option("--no-update", is_flag=True, help="Skip the survival update.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def _opened(host: Host, *, update: bool) -> Iterator[tuple[GitRepository, Database]]:
    """The repository and its database, with survival level with HEAD if wanted."""
    repo = initialised_repository()
    settings = load_settings(repo, warn=host.terminal.note)
    with Database(repo.state_dir / DATABASE_NAME) as db:
        if update:
            bar = ProgressBar(host.terminal.err)
            try:
                update_survival(repo, db, limit=settings.history_commits, progress=bar)
            finally:
                bar.finish()
        yield repo, db


def _print(host: Host, look: Look, lines: Iterable[str]) -> None:
    for line in lines:
        host.terminal.echo(look.fit(line))


@click.group("corpus", invoke_without_command=True)
@as_json_option
@no_update
@click.option("--explain", type=click.IntRange(0), metavar="HOLE", help="Explain one hole.")
@click.pass_context
def corpus_command(
    ctx: click.Context, as_json: bool, no_update: bool, explain: int | None
) -> int | None:
    """Show statistics of the fill-in-the-middle examples mined from commits."""
    if ctx.invoked_subcommand is not None:
        if as_json or no_update or explain is not None:
            raise click.UsageError(f"options belong behind {ctx.invoked_subcommand!r}", ctx)
        return None
    host: Host = ctx.obj
    if explain is not None:
        return _explain(host, explain, as_json=as_json, update=not no_update)
    with _opened(host, update=not no_update) as (repo, db):
        figures = {**corpus_figures(repo, db), "missing": lack_facts(repo, db)}
    if as_json:
        host.terminal.echo(json.dumps(figures))
        return 0
    look = Look.of(host.terminal)
    _print(host, look, figures_lines(look, figures))
    _print(host, look, [f"missing: {line}" for line in lack_lines(figures["missing"])])
    return 0


@corpus_command.command("sample")
@click.option(
    "-n", "count", type=click.IntRange(1, 1000), default=10, help="Number of holes to show."
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the random choice.")
@click.option("--kind", default="", metavar="KIND", help="Only holes of this kind.")
@click.option("--language", default="", metavar="NAME", help="Only holes of this language.")
@click.option(
    "--author",
    default="",
    metavar="TEXT",
    help="Only holes by authors whose name or address contains TEXT.",
)
@as_json_option
@no_update
@click.pass_obj
def corpus_sample(
    host: Host,
    /,
    count: int,
    seed: int | None,
    kind: str,
    language: str,
    author: str,
    as_json: bool,
    no_update: bool,
) -> int:
    """Show some holes in their files, with secrets masked."""
    from git_copilot.assistant.dataset.samples import SampleFilter, choose_samples

    chosen = secrets.randbelow(SEEDS) if seed is None else seed
    with _opened(host, update=not no_update) as (repo, db):
        samples = choose_samples(repo, db, count, chosen, SampleFilter(kind, language, author))
    if as_json:
        shown = [sample.fields() for sample in samples]
        host.terminal.echo(json.dumps({"seed": chosen, "samples": shown}))
        return 0
    look, prefix = Look.of(host.terminal), _prefix(host, repo)
    for sample in samples:
        _print(host, look, [*sample_lines(look, sample, prefix), ""])
    if seed is None:
        host.terminal.note(f"the same holes again: --seed {chosen}")
    return 0


def _prefix(host: Host, repo: GitRepository) -> str:
    """The beginning of shown paths, so that terminals find files from the current folder."""
    return path_to_top(None if repo.root is None else str(repo.root), str(host.terminal.cwd))


@corpus_command.command("explain")
@click.argument("hole", type=click.IntRange(0))
@as_json_option
@no_update
@click.pass_obj
def corpus_explain(host: Host, /, hole: int, as_json: bool, no_update: bool) -> int:
    """Explain where a hole comes from, whether it survives, and whether it is trained on."""
    return _explain(host, hole, as_json=as_json, update=not no_update)


def _explain(host: Host, hole: int, *, as_json: bool, update: bool) -> int:
    from git_copilot.assistant.dataset.explain import explain_hole

    with _opened(host, update=update) as (repo, db):
        explanation = explain_hole(RepositoryContext(repo, db, load_settings(repo)), hole)
    if as_json:
        host.terminal.echo(json.dumps(explanation.fields()))
        return 0
    look = Look.of(host.terminal)
    _print(host, look, explanation_lines(look, explanation, _prefix(host, repo)))
    return 0


@corpus_command.command("export")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.jsonl|parquet")
@click.option(
    "--rendered", is_flag=True, help="Write training texts instead of prefix, middle and suffix."
)
@click.option("--source", default="commits", metavar="commits|snapshot|both",
              help="Holes of commits, files of HEAD, or (rendered) both.")  # fmt: skip
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD",
              help="Leave out commits authored before this date.")  # fmt: skip
@click.pass_obj
def corpus_export(
    host: Host, /, out: Path, rendered: bool, source: str, since: datetime.datetime | None
) -> int:
    """Export the corpus in a format that Hugging Face datasets loads."""
    from git_copilot.assistant.dataset.export import ExportRequest, check_target, export_corpus

    first = int(since.replace(tzinfo=datetime.UTC).timestamp()) if since is not None else None
    check_target(out)
    request = ExportRequest(source, rendered, first)
    bar = ProgressBar(host.terminal.err)
    with _opened(host, update=False) as (repo, db):
        try:
            context = RepositoryContext(repo, db, load_settings(repo), progress=bar)
            count = export_corpus(context, out, request)
        finally:
            bar.finish()
    host.terminal.echo(f"{count} {request.unit} in {out}")
    return 0
