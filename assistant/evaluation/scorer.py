"""Runs a model over examples: text as it is served, and likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from git_copilot.assistant.backend.llama import supports
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.copy_weights import Weights
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import REPLACEMENT, Sampling
from git_copilot.assistant.evaluation.healed_examples import Leads, heal
from git_copilot.assistant.evaluation.metrics import Score, edit_similarity, exact_match
from git_copilot.assistant.postprocess.indentation import Indentation
from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.training.batches import round_up
from git_copilot.assistant.training.loss import only_positions
from git_copilot.index.core.types import Progress, no_progress

BATCH = 8


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote for one example.

    ``text`` is what serving would answer, ``written`` what the model had written until it ended
    (``finish`` is ``"stop"``), was stopped by a trim rule (``"trimmed"``) or used up its
    ``tokens`` (``"length"``); ``rule`` names the trim rule that cut ``text``, if one did.
    """

    text: str
    written: str
    finish: str
    rule: str | None
    tokens: int


def group(examples: Sequence[Example], batch: int = BATCH) -> list[list[int]]:
    """Indices of examples in batches of like prompt length, longest first (memory fails early)."""
    order = sorted(range(len(examples)), key=lambda i: (-len(examples[i].prompt_ids), i))
    return [order[i : i + batch] for i in range(0, len(order), batch)]


def serving_engine(
    model: Any, tokenizer: TextTokenizer, copying: Weights | None = None
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
    copying: Weights | None = None,
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
    healed = [heal(tokenizer, e) if healing else (e, e.prompt.lead) for e in examples]
    examples, leads = [example for example, _ in healed], [lead for _, lead in healed]
    most = max_tokens if generate else 0
    if batch is None and engine is None:
        engine = serving_engine(model, tokenizer, copying)
    found = (
        _singly(engine, examples, leads, Sampling(most, alternatives=alternatives), stop_early)
        if engine is not None
        else _batches(model, tokenizer, examples, leads, most, stop_early, batch or BATCH)
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


# Index of an example, the negative log-likelihoods of its middle, and what was written.
_Found = tuple[int, list[float], Completion | None]


def _trimmer(example: Example) -> Trimmer:
    return Trimmer(
        example.prefix,
        example.suffix,
        path=example.hole.path,
        left_to_right=example.prompt.left_to_right,
    )


def _indentation(example: Example) -> Indentation:
    return Indentation(example.prefix, example.suffix, example.hole.path)


def _singly(
    engine: Engine,
    examples: Sequence[Example],
    leads: Sequence[str],
    sampling: Sampling,
    stop_early: bool,
) -> Iterator[_Found]:
    """One example after the other as they are served, but for the precision: the model's own."""
    for i, (example, lead) in enumerate(zip(examples, leads, strict=True)):
        made = None
        if sampling.max_tokens:
            trimmer, indented = _trimmer(example), _indentation(example)
            enough = indented.until(trimmer.finished) if stop_early else lambda text: False
            written = engine.generate(
                example.prompt_ids, sampling, lead=lead, around=example.around, enough=enough
            )  # fmt: skip
            kept = trimmer.trim(indented.apply(written.text), written.finish, doubt=written.doubt)
            made = Completion(kept.text, written.text, written.finish, kept.rule, written.tokens)
        nll = engine.likelihood(
            example.prompt_ids, example.middle_ids, lead=lead, around=example.around
        )
        yield i, nll, made


def _batches(
    model: Any,
    tokenizer: TextTokenizer,
    examples: Sequence[Example],
    leads: Sequence[str],
    max_tokens: int,
    stop_early: bool,
    batch: int,
) -> Iterator[_Found]:
    """Several at once, on any device and for every architecture."""
    kept = Leads(tokenizer)
    for indices in group(examples, batch):
        chosen = [examples[i] for i in indices]
        cache, mask, first = _prefill(model, tokenizer, chosen)
        likelihoods = _score(model, tokenizer, chosen, cache, mask, first)
        kept.texts = [leads[i] for i in indices]
        completions: Sequence[Completion | None] = (
            _decode(model, tokenizer, chosen, cache, mask, first, max_tokens, stop_early, kept)
            if max_tokens
            else [None] * len(chosen)
        )
        yield from zip(indices, likelihoods, completions, strict=True)


def _positions(mask: torch.Tensor) -> torch.Tensor:
    """Positions that count real tokens only, for models that learnt them absolutely."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def _prefill(
    model: Any, tokenizer: TextTokenizer, examples: Sequence[Example]
) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Read the prompts, padded on the left: the cache, the mask (rows, length) of its real
    tokens, and the float32 logits (rows, vocabulary) after each prompt."""
    from transformers import DynamicCache

    length = round_up(max(len(e.prompt_ids) for e in examples))
    ids = torch.full((len(examples), length), tokenizer.end_id)
    mask = torch.zeros_like(ids)
    for row, example in enumerate(examples):
        start = length - len(example.prompt_ids)
        ids[row, start:] = torch.tensor(example.prompt_ids)
        mask[row, start:] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    cache = DynamicCache()
    output = model(
        ids,
        attention_mask=mask,
        position_ids=_positions(mask),
        past_key_values=cache,
        logits_to_keep=1,
    )
    return cache, mask, output.logits[:, -1].float()


def _score(
    model: Any,
    tokenizer: TextTokenizer,
    examples: Sequence[Example],
    cache: Any,
    mask: torch.Tensor,
    first: torch.Tensor,
) -> list[list[float]]:
    """Negative log-likelihood of every token of each middle; the cache is left as it was."""
    # Input is the middle without its last token: each token's logits predict the next one.
    length = round_up(max(len(e.middle_ids) for e in examples) - 1, 16)
    ids = torch.full((len(examples), max(length, 1)), tokenizer.end_id)
    real = torch.zeros_like(ids)
    for row, example in enumerate(examples):
        size = len(example.middle_ids) - 1
        ids[row, :size] = torch.tensor(example.middle_ids[:-1], dtype=torch.long)
        real[row, :size] = 1
    ids, real = ids.to(model.device), real.to(model.device)
    whole = torch.cat([mask, real], dim=1)
    with only_positions(model) as choose:
        choose(real.bool())
        logits = model(
            ids,
            attention_mask=whole,
            position_ids=_positions(whole)[:, mask.shape[1] :],
            past_key_values=cache,
        ).logits
    cache.crop(-ids.shape[1])
    rows = torch.log_softmax(logits.float(), dim=-1).cpu()
    starts = torch.log_softmax(first, dim=-1).cpu()
    found, begin = [], 0
    for row, example in enumerate(examples):
        size = len(example.middle_ids) - 1
        picked = rows[begin : begin + size]
        begin += size
        values = [-float(starts[row, example.middle_ids[0]])]
        values += (-picked[torch.arange(size), list(example.middle_ids[1:])]).tolist()
        found.append(values)
    return found


def _decode(
    model: Any,
    tokenizer: TextTokenizer,
    examples: Sequence[Example],
    cache: Any,
    mask: torch.Tensor,
    logits: torch.Tensor,
    max_tokens: int,
    stop_early: bool,
    leads: Leads,
) -> list[Completion]:
    """Greedy completions, ended and trimmed row by row as the engine does one by one."""
    trimmers = [_trimmer(example) for example in examples]
    indented = [_indentation(example) for example in examples]
    ending = [a.until(b.finished) for a, b in zip(indented, trimmers, strict=True)]
    generated: list[list[int]] = [[] for _ in examples]
    texts = [""] * len(examples)
    finish = ["length"] * len(examples)
    running = set(range(len(examples)))
    positions = mask.sum(dim=1, keepdim=True)
    for step in range(max_tokens):
        tokens = leads.pick(logits, texts)
        for row in sorted(running):
            if tokens[row] in tokenizer.end_ids:
                running.discard(row)
                finish[row] = "stop"
                continue
            generated[row].append(tokens[row])
            texts[row] = tokenizer.decode(generated[row])
            whole = stop_early and not texts[row].endswith(REPLACEMENT)
            if whole and ending[row](texts[row][len(leads.texts[row]) :]):
                running.discard(row)
                finish[row] = "trimmed"
        if not running or step == max_tokens - 1:
            break
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        output = model(
            torch.tensor(tokens, device=mask.device).unsqueeze(1),
            attention_mask=mask,
            position_ids=positions + step,
            past_key_values=cache,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1].float()
    completions = []
    for row, trimmer in enumerate(trimmers):
        written = texts[row].removesuffix(REPLACEMENT)[len(leads.texts[row]) :]
        kept = trimmer.trim(indented[row].apply(written), finish[row])
        completions.append(
            Completion(kept.text, written, finish[row], kept.rule, len(generated[row]))
        )
    return completions
