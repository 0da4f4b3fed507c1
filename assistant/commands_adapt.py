"""``refresh``, ``adapter`` and ``eval``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from git_copilot.assistant import adapters, completing
from git_copilot.assistant.cli import Host
from git_copilot.assistant.config import Settings, load_settings
from git_copilot.assistant.embedder import ready_embedder
from git_copilot.assistant.jobs import (
    initialised_repository,
    known_repository,
    sync_repository,
)
from git_copilot.assistant.models import resolve_model
from git_copilot.assistant.progress import ProgressBar
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.errors import NOT_PROMOTED
from git_copilot.index.git import GitRepository
from git_copilot.index.mine import mine
from git_copilot.index.types import Embedder

if TYPE_CHECKING:
    from git_copilot.index.vectors import VectorIndex


@dataclass(frozen=True, slots=True)
class _Opened:
    repo: GitRepository
    db: Database
    settings: Settings
    embedder: Embedder | None
    vectors: VectorIndex | None
    bar: ProgressBar


@contextmanager
def _opened(host: Host) -> Iterator[_Opened]:
    """The repository with its index and corpus brought level with HEAD."""
    from git_copilot.index.vectors import load_vectors

    repo = initialised_repository()
    settings = load_settings(repo, warn=host.terminal.note)
    resolve_model(settings.model)
    bar = ProgressBar(host.terminal.err)
    try:
        sync_repository(repo, settings, bar)
        embedder = ready_embedder(settings)
        with Database(repo.state_dir / DATABASE_NAME) as db:
            mine(repo, db, limit=settings.history_commits, progress=bar)
            vectors = load_vectors(db, repo.state_dir, embedder)
            yield _Opened(repo, db, settings, embedder, vectors, bar)
    finally:
        bar.finish()


@click.command("refresh")
@click.option("--json", "as_json", is_flag=True, help="Print the evidence as JSON.")
@click.option("--holes", type=click.IntRange(1), help="Train on at most so many holes.")
@click.option("--held-out", type=click.IntRange(1), help="Evaluate on at most so many holes.")
@click.option("--minutes", type=float, help="Stop training after so long.")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.pass_obj
def refresh_command(
    host: Host,
    /,
    as_json: bool,
    holes: int | None,
    held_out: int | None,
    minutes: float | None,
    seed: int | None,
) -> int:
    """Train an adapter on this repository's commits, and promote it if it wins.

    The newest commits are held out: the candidate is promoted only when it completes them better
    than what is used now. Exit code 4 when it ran and was not promoted.
    """
    from git_copilot.assistant.refresh import run_refresh

    with _opened(host) as opened:
        evidence = run_refresh(
            opened.repo,
            opened.db,
            opened.settings,
            embedder=opened.embedder,
            vectors=opened.vectors,
            seconds=minutes * 60 if minutes else None,
            max_holes=holes,
            held_out_holes=held_out,
            seed=seed,
            progress=opened.bar,
            on_note=host.terminal.note,
        )
    if as_json:
        host.terminal.echo(json.dumps(evidence))
    else:
        _print_evidence(host, evidence)
    return 0 if evidence["promoted"] else NOT_PROMOTED


def _print_evidence(host: Host, evidence: dict[str, Any]) -> None:
    echo = host.terminal.echo
    echo(f"{'':<12}{'with retrieval':>24}{'without':>24}")
    echo(f"{'':<12}" + f"{'EM':>8}{'ES':>8}{'NLL':>8}" * 2)
    for name, arm in evidence["arms"].items():
        if arm is None:
            continue
        cells = [arm[k] for k in ("with_retrieval", "without_retrieval")]
        echo(
            f"{name:<12}"
            + "".join(f"{c['em']:>8.1f}{c['es']:>8.1f}{c['nll']:>8.3f}" for c in cells)
        )
    if "reason" in evidence:
        verdict = "promoted" if evidence["promoted"] else "not promoted"
        echo(f"{evidence['candidate']} {verdict}: {evidence['reason']}")
        echo(f"{evidence['holes']['train']} holes trained on, {evidence['seconds']:.0f} s")


@click.command("eval")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--commits", "commits_range", metavar="RANGE", help="Commits, as git names ranges.")
@click.option("--adapter", metavar="ID", help="Evaluate this adapter (default: the current one).",
              shell_complete=completing.adapters)  # fmt: skip
@click.option("--holes", type=click.IntRange(1), help="Evaluate on at most so many holes.")
@click.pass_obj
def eval_command(
    host: Host,
    /,
    as_json: bool,
    commits_range: str | None,
    adapter: str | None,
    holes: int | None,
) -> int:
    """Complete the holes of later commits, with and without retrieval and adapter."""
    from git_copilot.assistant.refresh import run_eval

    with _opened(host) as opened:
        report = run_eval(
            opened.repo,
            opened.db,
            opened.settings,
            commits_range=commits_range,
            adapter=adapter,
            embedder=opened.embedder,
            vectors=opened.vectors,
            held_out_holes=holes,
            progress=opened.bar,
        )
    if as_json:
        host.terminal.echo(json.dumps(report))
    else:
        _print_evidence(host, report)
    return 0


@click.group("adapter")
def adapter_command() -> None:
    """The adapters that refresh made, and which one is used."""


@adapter_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_list(host: Host, /, as_json: bool) -> int:
    """All adapters, oldest first."""
    rows = adapters.list_adapters(_state())
    if as_json:
        host.terminal.echo(json.dumps(rows))
        return 0
    if not rows:
        host.terminal.echo("no adapter yet: `git copilot refresh` trains one")
    for row in rows:
        mark = "*" if row["current"] else " "
        gain = "" if row["delta_em"] is None else f"{row['delta_em']:+.1f} EM"
        promoted = "promoted" if row["promoted"] else "not promoted"
        host.terminal.echo(f"{mark} {row['id']:<24}{promoted:<14}{gain:<12}{row['base_model']}")
    return 0


@adapter_command.command("show")
@click.argument("adapter_id", metavar="ID", shell_complete=completing.adapters)
@click.pass_obj
def adapter_show(host: Host, /, adapter_id: str) -> int:
    """Print an adapter's evidence."""
    host.terminal.echo_block(json.dumps(adapters.evidence(_state(), adapter_id), indent=2))
    return 0


@adapter_command.command("use")
@click.argument("adapter_id", metavar="ID|none", shell_complete=completing.adapters_or_none)
@click.pass_obj
def adapter_use(host: Host, /, adapter_id: str) -> int:
    """Complete with this adapter, or with none."""
    chosen = None if adapter_id == "none" else adapter_id
    adapters.use(_state(), chosen)
    host.terminal.echo(f"this repository uses {'no adapter' if chosen is None else chosen}")
    return 0


@adapter_command.command("rollback")
@click.pass_obj
def adapter_rollback(host: Host, /) -> int:
    """Go back to what was used before."""
    previous = adapters.rollback(_state())
    host.terminal.echo(f"this repository uses {previous or 'no adapter'}")
    return 0


def _state() -> Path:
    return known_repository().state_dir
