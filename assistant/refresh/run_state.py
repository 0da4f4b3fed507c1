"""What a refresh has in hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import (
    Example,
)
from git_copilot.assistant.dataset.leakage import (
    Duplicates,
)
from git_copilot.assistant.evaluation.arms import Held, Judge
from git_copilot.assistant.training.batches import TrainingRecipe
from git_copilot.index.core.types import Embedder, Progress
from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database

WORK, LOCK = ".work", ".lock"
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RefreshTools:
    """What was handed to a refresh; ``begun`` is a reading of ``time.monotonic``."""

    repo: GitRepository
    db: Database
    settings: Settings
    embedder: Embedder | None
    vectors: VectorIndex | None
    progress: Progress
    note: Note
    begun: float

    def clock(self) -> float:
        return time.monotonic() - self.begun


@dataclass(frozen=True, slots=True)
class RefreshRun:
    """What a refresh learns from and judges by."""

    tools: RefreshTools
    examples: list[Example]
    copies: int
    duplicates: Duplicates
    held: Held
    judge: Judge

    @property
    def state(self) -> Path:
        return self.tools.repo.state_dir

    @property
    def work(self) -> Path:
        return adapter_store.adapters_dir(self.state) / WORK

    @property
    def recipe(self) -> TrainingRecipe:
        return TrainingRecipe(rank=self.tools.settings.adapter_rank, seed=self.tools.settings.seed)
