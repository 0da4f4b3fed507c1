"""Runs a model over examples: text as it is served, and likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from git_copilot.assistant.backend.llama_weights import supports
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.copy_weights import CopyWeights
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.evaluation.batched_scoring import (
    BATCH,
    Completion,
    Scored,
    indentation_for,
    score_batches,
    trimmer_for,
)
from git_copilot.assistant.evaluation.healed_examples import heal
from git_copilot.assistant.evaluation.metrics import Score, edit_similarity, exact_match
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Progress, no_progress


def serving_engine(
    model: Any, tokenizer: TextTokenizer, copying: CopyWeights | None = None
) -> Engine | None:
    """The engine that completes where it has a forward pass of its own for the model (llama.py),
    which is twice as fast as batches of transformers there, or where the model copies."""
    if copying or supports(model):
        return Engine(model, tokenizer, copying=copying)
    return None


@torch.inference_mode()
def evaluate(
    model: Any,
    tokenizer: TextTokenizer,
    examples: Sequence[Example],
    *,
    max_tokens: int,
    generate: bool = True,
    alternatives: int = 0,
    batch: int | None = None,
    copying: CopyWeights | None = None,
    engine: Engine | None = None,
    stop_early: bool = True,
    healing: bool = False,
    collect: Callable[[int, Completion], None] | None = None,
    progress: Progress = no_progress,
    label: str = "evaluating",
) -> list[Score]:
    """Score each example, in order: exact match, edit similarity and likelihood of the middle.

    :param model: a causal model in evaluation mode; an adapter is merged into it or active.
    :param max_tokens: the length at which a completion is cut, as in serving.
    :param batch: how many at once; by default one by one where there is a :func:`serving_engine`, else
        :data:`BATCH`.
    :param copying: of a model that copies, see copy_model.py; not in batches.
    :param engine: of :func:`serving_engine`, where there is one already.
    :param generate: without it ``em`` and ``es`` stay 0 and only the likelihood is taken.
    :param alternatives: see :class:`~git_copilot.assistant.decoding.generation.Sampling`; not in batches.
    :param stop_early: stop a completion as soon as a trim rule cuts it, as serving does. Without
        it the model writes on to its own end; the scores are the same.
    :param healing: token healing, see :func:`~git_copilot.assistant.evaluation.healed_examples.heal`; the likelihood
        is then of the moved token as well.
    :param collect: gets the index of each example and its completion, in no order.
    """
    scores: list[Score | None] = [None] * len(examples)
    healed = [heal(tokenizer, e) if healing else (e, e.prompt.forced_prefix) for e in examples]
    examples, forced_prefixes = (
        [example for example, _ in healed],
        [forced_prefix for _, forced_prefix in healed],
    )
    most = max_tokens if generate else 0
    if batch is None and engine is None:
        engine = serving_engine(model, tokenizer, copying)
    found = (
        _singly(
            engine, examples, forced_prefixes, Sampling(most, alternatives=alternatives), stop_early
        )
        if engine is not None
        else score_batches(
            model, tokenizer, examples, forced_prefixes, most, stop_early, batch or BATCH
        )
    )
    for done, (i, nll, made) in enumerate(found):
        progress(label, done, len(examples))
        example = examples[i]
        if collect and made:
            collect(i, made)
        scores[i] = _scored(example, nll, made)
    progress(label, len(examples), len(examples))
    return [score for score in scores if score is not None]


def _scored(example: Example, nll: Sequence[float], made: Completion | None) -> Score:
    return Score(
        commit=example.hole.commit,
        em=0.0 if made is None else exact_match(made.text, example.middle),
        es=0.0 if made is None else edit_similarity(made.text, example.middle),
        nll=sum(nll[:-1]),
        end_nll=nll[-1],
        tokens=len(nll) - 1,
    )


def _singly(
    engine: Engine,
    examples: Sequence[Example],
    forced_prefixes: Sequence[str],
    sampling: Sampling,
    stop_early: bool,
) -> Iterator[Scored]:
    """One example after the other as they are served, but for the precision: the model's own."""
    for i, (example, forced_prefix) in enumerate(zip(examples, forced_prefixes, strict=True)):
        made = None
        if sampling.max_tokens:
            trimmer, indented = trimmer_for(example), indentation_for(example)
            should_stop = indented.until(trimmer.finished) if stop_early else lambda text: False
            written = engine.generate(
                GenerationRequest(
                    example.prompt_ids,
                    sampling,
                    forced_prefix,
                    example.copy_context,
                    should_stop=should_stop,
                )
            )
            kept = trimmer.trim(
                indented.apply(written.text), written.finish, empty_margin=written.empty_margin
            )
            made = Completion(kept.text, written.text, written.finish, kept.rule, written.tokens)
        nll = engine.likelihood(
            example.prompt_ids,
            example.middle_ids,
            forced_prefix=forced_prefix,
            copy_context=example.copy_context,
        )
        yield i, nll, made
