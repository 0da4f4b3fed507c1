"""Scores a model with and without an adapter, with and without retrieval, on the same holes."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from git_copilot.assistant.backend.devices import choose_device
from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Cut, Example, make_example, serving_budget
from git_copilot.assistant.decoding.copy_weights import CopyWeights, read_copy_weights
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.evaluation.metrics import Score, summarise
from git_copilot.assistant.evaluation.regression_check import guard_examples
from git_copilot.assistant.evaluation.report import ArmScores
from git_copilot.assistant.evaluation.scorer import evaluate, serving_engine
from git_copilot.assistant.models.catalogue import longest_sequence
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hit, Progress, no_progress


@dataclass(frozen=True, slots=True)
class HeldOutSet:
    """Held-out holes as examples, with snippets and without, in the same order."""

    retrieval: list[Example]
    plain: list[Example]


@dataclass(frozen=True, slots=True)
class Arm:
    """The scores of one model on a :class:`HeldOutSet`, and on code outside the repository."""

    retrieval: list[Score]
    plain: list[Score]
    guard: list[Score] = field(default_factory=list)

    def scores(self) -> ArmScores:
        """The means, as a report shows them."""
        return ArmScores(summarise(self.retrieval), summarise(self.plain))


class ArmEvaluator:
    """Evaluates the base model with one adapter at a time, merged as in serving."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        tokenizer: TextTokenizer,
        progress: Progress = no_progress,
    ) -> None:
        """:param folder: the base model's."""
        self._folder = folder
        self._settings = settings
        self._tokenizer = tokenizer
        self._progress = progress

    @property
    def longest(self) -> int:
        """The model's maximum number of tokens."""
        return longest_sequence(self._folder)

    def render_held_out(
        self, cuts: Sequence[Cut], hits: Sequence[Sequence[Hit]], repository: str
    ) -> HeldOutSet:
        """Render held-out holes within the budget of serving; holes that are too long for the
        model are left out.

        :param hits: for each cut, its snippets, best first.
        """
        budget, healing = serving_budget(self._settings), self._settings.healing
        held = HeldOutSet([], [])
        for cut, found in zip(cuts, hits, strict=True):
            retrieval = make_example(
                self._tokenizer, cut, found, budget, repository, self._settings.snippets,
                healing=healing,
            )  # fmt: skip
            plain = make_example(self._tokenizer, cut, (), budget, repository, healing=healing)
            size = max(retrieval.size, plain.size) + self._settings.max_tokens
            if size <= self.longest:
                held.retrieval.append(retrieval)
                held.plain.append(plain)
        return held

    def load(self, adapter: Path | None) -> Any:
        """The model on the best device.

        :raises ModelError: the model or the adapter cannot be loaded.
        """
        gc.collect()  # peft's wrappers are cycles: the last model may still be in memory
        model = load_model(self._folder)
        if adapter is not None:
            model = apply_adapter(model, adapter)
        return model.to(choose_device())

    def evaluate_arm(
        self, held: HeldOutSet, adapter: Path | None, name: str, *, guard: bool = False
    ) -> Arm:
        """Score one arm.

        :param adapter: the folder of an adapter; ``None``: the base model.
        :param guard: also take the likelihood of code outside the repository.
        """
        model = self.load(adapter)
        engine = serving_engine(model, self._tokenizer, self._copying)
        retrieval = self._evaluate(model, engine, held.retrieval, f"evaluating the {name}")
        # Where no snippet was found, both prompts are equal.
        other = [
            i for i, e in enumerate(held.plain) if e.prompt_ids != held.retrieval[i].prompt_ids
        ]
        plain = list(retrieval)
        scores = self._evaluate(
            model,
            engine,
            [held.plain[i] for i in other],
            f"evaluating the {name} without retrieval",
        )
        for i, score in zip(other, scores, strict=True):
            plain[i] = score
        guarded = guard_examples(self._tokenizer) if guard else []
        guarding = self._evaluate(
            model, engine, guarded, "checking for regressions", generate=False
        )
        return Arm(retrieval, plain, guarding)

    @property
    def _copying(self) -> CopyWeights | None:
        return read_copy_weights(self._folder) if self._settings.copying else None

    def _evaluate(
        self,
        model: Any,
        engine: Engine | None,
        examples: Sequence[Example],
        label: str,
        *,
        generate: bool = True,
    ) -> list[Score]:
        if not examples:
            return []
        return evaluate(
            model,
            self._tokenizer,
            examples,
            max_tokens=self._settings.max_tokens,
            alternatives=self._settings.alternatives,
            engine=engine,
            generate=generate,
            progress=self._progress,
            label=label,
        )
