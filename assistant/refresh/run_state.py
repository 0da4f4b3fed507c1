"""The state of a refresh between its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.evaluation.arms import ArmEvaluator
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.refresh.plan import RefreshPlan, most_epochs
from git_copilot.assistant.refresh.run_clock import RunClock
from git_copilot.assistant.refresh.warm_start import WarmStart, warm_start
from git_copilot.assistant.training.batches import TrainingRecipe

# What the text before a hole weighs, and how long it may be: all of it counts in full, since one
# hole has too few tokens to learn from (docs/decisions/0038-learn-every-token.md).
RECIPE: dict[str, Any] = {
    "epochs": 1,
    "batch": 4,
    "learning_rate": 3e-4,
    "open_weight": 1.0,
    "open_tokens": 1024,
    "cooldown": 0.4,
}
WORK, LOCK, CANDIDATE = ".work", ".lock", "candidate"


@dataclass(frozen=True, slots=True)
class RefreshRun:
    """What the steps of one refresh share; ``folder`` is the base model's, ``warm`` what training
    goes on from, if anything."""

    context: RepositoryContext
    folder: Path
    tokenizer: TextTokenizer
    evaluator: ArmEvaluator
    clock: RunClock
    warm: WarmStart | None = None

    @classmethod
    def of(
        cls,
        context: RepositoryContext,
        folder: Path,
        clock: RunClock,
        incumbent: str | None = None,
    ) -> RefreshRun:
        """:param incumbent: the adapter in use.
        :raises ModelError: the tokenizer cannot be loaded."""
        tokenizer = TextTokenizer.load(folder, context.settings.model)
        evaluator = ArmEvaluator(folder, context.settings, tokenizer, context.progress)
        return cls(context, folder, tokenizer, evaluator, clock, warm_start(context, incumbent))

    @property
    def work(self) -> Path:
        """The folder of checkpoints, scores and the candidate."""
        return adapter_store.adapters_dir(self.context.state_dir) / WORK

    @property
    def recipe(self) -> TrainingRecipe:
        """The recipe of one epoch."""
        settings = self.context.settings
        return TrainingRecipe(rank=settings.adapter_rank, seed=settings.seed, **RECIPE)

    def recipe_for(self, holes: int, plan: RefreshPlan | None) -> TrainingRecipe:
        """The recipe for this number of holes to learn from."""
        epochs = plan.epochs if plan is not None else most_epochs(holes)
        return replace(self.recipe, epochs=epochs)
