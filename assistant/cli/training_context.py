"""The start and the end that ``refresh`` and ``eval`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
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
from git_copilot.index.core.types import Progress

if TYPE_CHECKING:
    from git_copilot.assistant.evaluation.metrics import ScoreSummary
    from git_copilot.assistant.evaluation.report import ArmsReport


@contextmanager
def training_context(
    host: Host, bounded: Callable[[Progress], Progress] = lambda progress: progress
) -> Iterator[tuple[RepositoryContext, Path]]:
    """The repository with its index level with HEAD, its embedder and its vectors, and the folder
    of its model.

    :param bounded: makes of a progress one that ends indexing when the time is over.
    """
    repo = initialised_repository()
    settings = load_settings(repo, warn=host.terminal.note)
    folder = resolve_model(settings.model)  # without a model nothing is worth indexing
    bar = ProgressBar(host.terminal.err)

    def note(text: str) -> None:
        bar.finish()  # a remark begins on a line of its own
        host.terminal.note(text)

    try:
        with open_context(repo, settings, progress=bar, note=note) as opened:
            context = opened.with_embedder()
            sync_index(replace(context, progress=bounded(bar)))
            yield context.with_vectors(), folder
    finally:
        bar.finish()


def print_arms(
    host: Host, arms: ArmsReport, controls: Mapping[str, ScoreSummary] = MappingProxyType({})
) -> None:
    """A table of the arms' scores, with ``-`` for what was not measured.

    :param controls: by name, measured with retrieval.
    """
    from git_copilot.assistant.evaluation.metrics import NOT_MEASURED

    echo = host.terminal.echo
    both = any(arm.without_retrieval != NOT_MEASURED for arm in arms.named().values())
    echo(f"{'':<12}{'with retrieval':>24}" + (f"{'without':>24}" if both else ""))
    echo(f"{'':<12}" + f"{'EM':>8}{'ES':>8}{'NLL':>8}" * (1 + both))
    for name, arm in arms.named().items():
        cells = (arm.with_retrieval, arm.without_retrieval)[: 1 + both]
        echo(f"{name:<12}" + "".join(map(_cell, cells)))
    for name, scores in controls.items():
        echo(f"{name[:11]:<12}" + _cell(scores))


def _cell(scores: ScoreSummary) -> str:
    def shown(value: float | None, places: int) -> str:
        return f"{'-' if value is None else format(value, f'.{places}f'):>8}"

    return shown(scores.em, 1) + shown(scores.es, 1) + shown(scores.nll, 3)
