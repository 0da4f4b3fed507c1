"""What ``refresh`` and ``eval`` open first and print last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.models.embedder import ready_embedder
from git_copilot.assistant.worker.jobs import (
    initialised_repository,
    sync_repository,
)
from git_copilot.index.core.types import Embedder
from git_copilot.index.corpus.mining import mine
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database

if TYPE_CHECKING:
    from git_copilot.index.embedding.vectors import VectorIndex


@dataclass(frozen=True, slots=True)
class TrainingContext:
    repo: GitRepository
    db: Database
    settings: Settings
    embedder: Embedder | None
    vectors: VectorIndex | None
    bar: ProgressBar


@contextmanager
def training_context(host: Host) -> Iterator[TrainingContext]:
    """The repository with its index and corpus brought level with HEAD."""
    from git_copilot.index.embedding.vectors import load_vectors

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
            yield TrainingContext(repo, db, settings, embedder, vectors, bar)
    finally:
        bar.finish()


def print_evidence(host: Host, evidence: dict[str, Any]) -> None:
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
