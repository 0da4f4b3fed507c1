"""The start and the end that ``refresh`` and ``eval`` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.catch_up import sync_index
from git_copilot.assistant.context.repository import (
    RepositoryContext,
    initialised_repository,
    open_context,
)
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.models.catalogue import resolve_model

if TYPE_CHECKING:
    from git_copilot.assistant.evaluation.report import ArmsReport


@contextmanager
def training_context(host: Host) -> Iterator[RepositoryContext]:
    """The repository with its index level with HEAD, its embedder and its vectors."""
    repo = initialised_repository()
    settings = load_settings(repo, warn=host.terminal.note)
    resolve_model(settings.model)  # without a model nothing is worth indexing
    bar = ProgressBar(host.terminal.err)
    try:
        with open_context(repo, settings, progress=bar, note=host.terminal.note) as opened:
            context = opened.with_embedder()
            sync_index(context)
            yield context.with_vectors()
    finally:
        bar.finish()


def print_arms(host: Host, arms: ArmsReport) -> None:
    """A table of the arms' scores."""
    echo = host.terminal.echo
    echo(f"{'':<12}{'with retrieval':>24}{'without':>24}")
    echo(f"{'':<12}" + f"{'EM':>8}{'ES':>8}{'NLL':>8}" * 2)
    for name, arm in arms.named().items():
        cells = (arm.with_retrieval, arm.without_retrieval)
        echo(f"{name:<12}" + "".join(f"{c.em:>8.1f}{c.es:>8.1f}{c.nll:>8.3f}" for c in cells))
