"""Runs a model over examples: text as it is served, and likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from git_copilot.assistant.backend.llama_weights import LlamaWeights, supports
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.copy_weights import CopyWeights
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import Sampling
from git_copilot.assistant.evaluation.batched_scoring import (
    BATCH,
    Completion,
    Scored,
    score_batches,
)
from git_copilot.assistant.evaluation.healed_examples import heal
from git_copilot.assistant.evaluation.metrics import Score, edit_similarity, exact_match
from git_copilot.assistant.evaluation.one_pass import OnePassScorer
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Progress, no_progress


def serving_scorer(
    model: Any, tokenizer: TextTokenizer, copying: CopyWeights | None = None, precision: str = ""
) -> OnePassScorer | None:
    """A scorer with the engine that completes, where that has a forward pass of its own for the
    model (llama.py), which is twice as fast as batches of transformers there, or where the model
    copies.

    :param model: a transformers model, or weights that were read without it.
    :param precision: as for :class:`~git_copilot.assistant.decoding.engine.Engine`.
    """
    if copying or isinstance(model, LlamaWeights) or supports(model):
        return OnePassScorer(Engine(model, tokenizer, precision, copying))
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringOptions:
    """How examples are scored.

    :ivar max_tokens: the length at which a completion is cut, as in serving.
    :ivar generate: without it no completions are made and only the likelihood is taken.
    :ivar alternatives: see :class:`~git_copilot.assistant.decoding.generation.Sampling`; not in batches.
    :ivar batch: how many at once; by default one by one where there is a :func:`serving_scorer`, else
        :data:`BATCH`.
    :ivar copying: of a model that copies, see copy_model.py; not in batches.
    :ivar scorer: of :func:`serving_scorer`, where there is one already.
    :ivar stop_early: stop a completion as soon as a trim rule cuts it, as serving does. Without
        it the model writes on to its own end; the scores are the same.
    :ivar healing: token healing, see :func:`~git_copilot.assistant.evaluation.healed_examples.heal`; the likelihood
        is then of the moved token as well.
    :ivar drafts: for each example the tokens that its completion may have, such as those of another
        model; empty ones, or none at all, are the middle's. They change the speed only.
    :ivar collect: gets the index of each example and its completion, in no order.
    """

    max_tokens: int
    generate: bool = True
    alternatives: int = 0
    batch: int | None = None
    copying: CopyWeights | None = None
    scorer: OnePassScorer | None = None
    stop_early: bool = True
    healing: bool = False
    drafts: Sequence[Sequence[int]] = ()
    collect: Callable[[int, Completion], None] | None = None
    progress: Progress = no_progress
    label: str = "evaluating"


@torch.inference_mode()
def evaluate(
    model: Any, tokenizer: TextTokenizer, examples: Sequence[Example], options: ScoringOptions
) -> list[Score]:
    """Score each example, in order: exact match, edit similarity and likelihood of the middle.

    :param model: a causal model in evaluation mode; an adapter is merged into it or active.
    """
    scores: list[Score | None] = [None] * len(examples)
    healed = [
        heal(tokenizer, e) if options.healing else (e, e.prompt.forced_prefix) for e in examples
    ]
    examples = [example for example, _ in healed]
    forced_prefixes = [forced_prefix for _, forced_prefix in healed]
    scorer = options.scorer
    if options.batch is None and scorer is None:
        scorer = serving_scorer(model, tokenizer, options.copying)
    found = (
        _singly(scorer, examples, forced_prefixes, options)
        if scorer is not None
        else score_batches(
            model,
            tokenizer,
            examples,
            forced_prefixes,
            options.max_tokens if options.generate else 0,
            options.stop_early,
            options.batch or BATCH,
        )
    )
    for done, (i, nll, made) in enumerate(found):
        options.progress(options.label, done, len(examples))
        example = examples[i]
        if options.collect and made:
            options.collect(i, made)
        scores[i] = _scored(example, nll, made)
    options.progress(options.label, len(examples), len(examples))
    return [score for score in scores if score is not None]


def _scored(example: Example, nll: Sequence[float], made: Completion | None) -> Score:
    middle = example.cut.inside(example.middle)
    return Score(
        commit=example.hole.commit,
        em=0.0 if made is None else exact_match(made.text, middle),
        es=0.0 if made is None else edit_similarity(made.text, middle),
        nll=sum(nll[:-1]),
        end_nll=nll[-1],
        tokens=len(nll) - 1,
        completed=made is not None,
    )


def _singly(
    scorer: OnePassScorer,
    examples: Sequence[Example],
    forced_prefixes: Sequence[str],
    options: ScoringOptions,
) -> Iterator[Scored]:
    """One example after the other, as they are served."""
    sampling = Sampling(
        options.max_tokens if options.generate else 0, alternatives=options.alternatives
    )
    drafts = options.drafts or [()] * len(examples)
    for i, example in enumerate(examples):
        nll, made = scorer.score(
            example,
            forced_prefixes[i],
            sampling,
            stop_early=options.stop_early,
            draft=drafts[i],
        )
        yield i, nll, made
