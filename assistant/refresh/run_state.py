"""The state of a refresh between its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.evaluation.arms import ArmEvaluator
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.refresh.plan import RefreshPlan, most_epochs
from git_copilot.assistant.refresh.presets import PRESETS, Preset
from git_copilot.assistant.refresh.run_clock import RunClock
from git_copilot.assistant.refresh.warm_start import WarmStart, warm_start
from git_copilot.assistant.training.batches import TrainingRecipe

WORK, LOCK, CANDIDATE = ".work", ".lock", "candidate"


@dataclass(frozen=True, slots=True)
class RefreshRun:
    """What the steps of one refresh share; ``folder`` is the base model's, ``warm`` what training
    goes on from, if anything. The settings of ``context`` are those of ``preset`` where it has any."""

    context: RepositoryContext
    folder: Path
    tokenizer: TextTokenizer
    evaluator: ArmEvaluator
    clock: RunClock
    preset: Preset
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
        preset = PRESETS[context.settings.refresh_preset]
        context = replace(context, settings=preset.applied_to(context.settings))
        tokenizer = TextTokenizer.load(folder, context.settings.model)
        evaluator = ArmEvaluator(folder, context.settings, tokenizer, context.progress)
        warm = warm_start(context, incumbent)
        return cls(context, folder, tokenizer, evaluator, clock, preset, warm)

    @property
    def work(self) -> Path:
        """The folder of checkpoints, scores and the candidate."""
        return adapter_store.adapters_dir(self.context.state_dir) / WORK

    @property
    def recipe(self) -> TrainingRecipe:
        """The recipe of one epoch."""
        settings = self.context.settings
        return TrainingRecipe(rank=settings.adapter_rank, seed=settings.seed, **self.preset.recipe)

    def recipe_for(self, holes: int, plan: RefreshPlan | None) -> TrainingRecipe:
        """The recipe for this number of holes to learn from."""
        epochs, recipe = plan.epochs if plan is not None else most_epochs(holes), self.recipe
        most = round(self.preset.warmup_share * epochs * holes / recipe.batch)
        return replace(recipe, epochs=epochs, warmup_steps=max(1, min(recipe.warmup_steps, most)))
