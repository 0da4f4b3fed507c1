"""Scores a model with and without an adapter, with and without retrieval, on the same holes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from git_copilot.assistant.backend.devices import choose_device
from git_copilot.assistant.backend.llama_weights import LlamaWeights
from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.backend.precision import dtype_name, load_dtype
from git_copilot.assistant.backend.quantisation import trains_in_four_bits
from git_copilot.assistant.core.config import Settings, cache_dir
from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.examples import Example, make_example, serving_budget
from git_copilot.assistant.decoding.copy_weights import CopyWeights, read_copy_weights
from git_copilot.assistant.evaluation.batched_scoring import BATCH, Completion
from git_copilot.assistant.evaluation.metrics import NOT_MEASURED, Score, summarise
from git_copilot.assistant.evaluation.one_pass import OnePassScorer
from git_copilot.assistant.evaluation.report import ArmScores
from git_copilot.assistant.evaluation.score_store import ScoreStore, StoredScore
from git_copilot.assistant.evaluation.scorer import ScoringOptions, evaluate, serving_scorer
from git_copilot.assistant.evaluation.stored_scoring import (
    StoredScoring,
    adapter_identity,
    base_identity,
)
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
    """The scores of one model on a :class:`HeldOutSet`, with what it wrote; ``without`` retrieval
    it is empty where that was not measured."""

    found: list[StoredScore]
    without: list[StoredScore]

    @property
    def retrieval(self) -> list[Score]:
        return [stored.score for stored in self.found]

    @property
    def plain(self) -> list[Score]:
        return [stored.score for stored in self.without]

    @property
    def retrieval_texts(self) -> list[str]:
        return [stored.text for stored in self.found]

    @property
    def plain_texts(self) -> list[str]:
        return [stored.text for stored in self.without]

    def scores(self) -> ArmScores:
        """The means, as a report shows them."""
        plain = summarise(self.plain) if self.plain else NOT_MEASURED
        return ArmScores(summarise(self.retrieval), plain)


class LoadedArm:
    """One model in memory, ready to be scored."""

    def __init__(
        self,
        model: Any,
        tokenizer: TextTokenizer,
        settings: Settings,
        copying: CopyWeights | None,
        progress: Progress = no_progress,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._settings, self._progress = settings, progress
        precision = settings.precision if choose_device() == "cpu" else ""
        self._scorer: OnePassScorer | None = serving_scorer(model, tokenizer, copying, precision)

    @property
    def batch(self) -> int:
        """How many examples are scored at once."""
        return BATCH if self._scorer is None else 1

    @property
    def precision(self) -> str:
        """What the model computes in, such as ``bf16``."""
        if self._scorer is not None:
            return self._scorer.engine.precision
        return dtype_name(self._model.dtype)

    def score(
        self,
        examples: Sequence[Example],
        label: str = "",
        *,
        generate: bool = True,
        drafts: Sequence[Sequence[int]] = (),
        collect: Callable[[int, Completion], None] | None = None,
    ) -> list[Score]:
        """Score examples, in order.

        :param label: of the progress; without it none is shown.
        :param generate: also make completions.
        :param drafts: see :class:`~git_copilot.assistant.evaluation.scorer.ScoringOptions`, like
            ``collect``.
        """
        if not examples:
            return []
        options = ScoringOptions(
            max_tokens=self._settings.max_tokens,
            alternatives=self._settings.alternatives,
            scorer=self._scorer,
            generate=generate,
            drafts=drafts,
            collect=collect,
            progress=self._progress if label else no_progress,
            label=label,
        )
        return evaluate(self._model, self._tokenizer, examples, options)

    def decoding_speed(
        self, example: Example, tokens: int, now: Callable[[], float]
    ) -> float | None:
        """Tokens decoded per second behind an example's prompt, ``None`` where the model ends at
        once.

        :param tokens: decode at most this many.
        """
        if self._scorer is not None:
            count, seconds = self._scorer.time_decoding(example, tokens, now)
        else:
            found: dict[int, Completion] = {}
            options = ScoringOptions(max_tokens=tokens, collect=found.__setitem__)
            begun = now()
            evaluate(self._model, self._tokenizer, [example], replace(options, generate=False))
            middle = now()
            evaluate(self._model, self._tokenizer, [example], options)
            seconds, count = now() - middle - (middle - begun), found[0].tokens
        return count / max(seconds, 1e-3) if count else None


class ArmEvaluator:
    """Evaluates the base model with one adapter at a time, merged as in serving."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        tokenizer: TextTokenizer,
        progress: Progress = no_progress,
        store: ScoreStore | None = None,
    ) -> None:
        """:param folder: the base model's.
        :param store: of scores that need not be measured again."""
        self._folder = folder
        self._store = store or ScoreStore()
        self._settings = settings
        self._tokenizer = tokenizer
        self._progress = progress

    @property
    def longest(self) -> int:
        """The model's maximum number of tokens."""
        return longest_sequence(self._folder)

    def render(self, cut: Cut, hits: Sequence[Hit], repository: str) -> Example | None:
        """A held-out hole within the budget of serving; ``None`` if it is too long for the model.

        :param hits: its snippets, best first.
        """
        example = make_example(
            self._tokenizer,
            cut,
            hits,
            serving_budget(self._settings),
            repository,
            self._settings.snippets,
            healing=self._settings.healing,
        )
        return example if example.size + self._settings.max_tokens <= self.longest else None

    def render_held_out(
        self, cuts: Sequence[Cut], hits: Sequence[Sequence[Hit]], repository: str
    ) -> HeldOutSet:
        """Render held-out holes with and without snippets; holes that are too long for the model
        are left out.

        :param hits: for each cut, its snippets, best first.
        """
        held = HeldOutSet([], [])
        for cut, found in zip(cuts, hits, strict=True):
            retrieval, plain = (self.render(cut, shown, repository) for shown in (found, ()))
            if retrieval is not None and plain is not None:
                held.retrieval.append(retrieval)
                held.plain.append(plain)
        return held

    def load(self, adapter: Path | None) -> Any:
        """The model on the best device, in the dtype that is fastest for training there.

        :raises ModelError: the model or the adapter cannot be loaded.
        """
        model = self._load()
        return apply_adapter(model, adapter).to(model.device) if adapter is not None else model

    def load_for_training(self) -> Any:
        """The base model on the best device, in the dtype that is fastest for training there, or in
        four bits.

        :raises ModelError: it cannot be loaded.
        """
        device = choose_device()
        return self._load(trains_in_four_bits(self._settings.qlora, self._folder, device))

    def _load(self, four_bit: bool = False) -> Any:
        gc.collect()  # peft's wrappers are cycles: the last model may still be in memory
        device = choose_device()
        dtype = load_dtype(device, cache=cache_dir())
        return load_model(self._folder, device=device, dtype=dtype, four_bit=four_bit)

    def load_arm(self, adapter: Path | None) -> LoadedArm:
        """The model, ready to be scored as it is served: in the precision of serving.

        :param adapter: the folder of an adapter; ``None``: the base model.
        :raises ModelError: the model or the adapter cannot be loaded.
        """
        copying = read_copy_weights(self._folder) if self._settings.copying else None
        model: Any = None
        if choose_device() == "cpu":
            model = LlamaWeights.from_files(self._folder, adapter=adapter)
        if model is None:
            model = self.load(adapter)
        return LoadedArm(model, self._tokenizer, self._settings, copying, self._progress)

    def evaluate_arm(
        self,
        held: HeldOutSet,
        adapter: Path | None,
        name: str,
        *,
        plain: bool = True,
        drafts: Arm | None = None,
    ) -> Arm:
        """Score one arm with retrieval and without.

        :param adapter: the folder of an adapter; ``None``: the base model.
        :param plain: also without retrieval.
        :param drafts: another arm, which may have written the same.
        """
        arm = self.load_arm(adapter)
        identity = adapter_identity(base_identity(self._settings.model, self._folder), adapter)

        def scored(
            examples: list[Example], other: list[StoredScore], label: str
        ) -> list[StoredScore]:
            ids = [stored.ids for stored in other]
            scoring = StoredScoring(arm, identity, self._settings, self._store, ids)
            found: list[StoredScore] = []
            while len(found) < len(examples):
                self._progress(label, len(found), len(examples))
                part = examples[len(found) : len(found) + arm.batch]
                found += scoring.score(part, generate=True, first=len(found))
            self._progress(label, len(found), len(found))
            return found

        label = f"evaluating the {name}"
        found = scored(held.retrieval, drafts.found if drafts else [], label)
        if not plain:
            return Arm(found, [])
        # Where no snippet was found, both prompts are equal, and so is the score.
        without = scored(held.plain, drafts.without if drafts else [], f"{label} without retrieval")
        return Arm(found, without)
