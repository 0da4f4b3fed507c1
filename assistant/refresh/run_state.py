"""The state of a refresh between its steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.dataset.leakage import DuplicateCounts
from git_copilot.assistant.evaluation.arms import ArmEvaluator, HeldOutSet
from git_copilot.assistant.training.batches import TrainingRecipe

WORK, LOCK = ".work", ".lock"


@dataclass(frozen=True, slots=True)
class RefreshRun:
    """The training examples and the held-out holes; ``begun`` is a reading of ``time.monotonic``,
    ``copies`` the number of copies of held-out holes that were dropped."""

    context: RepositoryContext
    begun: float
    examples: list[Example]
    copies: int
    duplicates: DuplicateCounts
    held: HeldOutSet
    evaluator: ArmEvaluator

    def elapsed(self) -> float:
        """Seconds since the refresh began."""
        return time.monotonic() - self.begun

    @property
    def work(self) -> Path:
        """The folder of checkpoints and the candidate."""
        return adapter_store.adapters_dir(self.context.state_dir) / WORK

    @property
    def recipe(self) -> TrainingRecipe:
        settings = self.context.settings
        return TrainingRecipe(rank=settings.adapter_rank, seed=settings.seed)
