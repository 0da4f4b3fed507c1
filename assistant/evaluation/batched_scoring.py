"""Scores examples in batches with the forward pass of transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.generation import REPLACEMENT
from git_copilot.assistant.evaluation.healed_examples import ForcedPrefixes
from git_copilot.assistant.postprocess.indentation import Indentation
from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.training.batches import round_up
from git_copilot.assistant.training.loss import only_positions

BATCH = 8


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's completion of one example.

    ``text`` is the answer of serving, ``written`` the text that the model generated until it
    stopped (``finish`` is ``"stop"``), was stopped by a trim rule (``"trimmed"``) or used up its
    ``tokens`` (``"length"``); ``rule`` names the trim rule that cut ``text``, if any; ``ids`` are
    the tokens of ``written``, those of the forced prefix included.
    """

    text: str
    written: str
    finish: str
    rule: str | None
    tokens: int
    ids: tuple[int, ...] = ()


def group(examples: Sequence[Example], batch: int = BATCH) -> list[list[int]]:
    """Indices of examples in batches of similar prompt length, longest first, so that too little
    memory shows at once."""
    order = sorted(range(len(examples)), key=lambda i: (-len(examples[i].prompt_ids), i))
    return [order[i : i + batch] for i in range(0, len(order), batch)]


# Index of an example, the negative log-likelihoods of its middle, and its completion.
Scored = tuple[int, list[float], Completion | None]


def score_batches(
    model: Any,
    tokenizer: TextTokenizer,
    examples: Sequence[Example],
    forced_prefixes: Sequence[str],
    max_tokens: int,
    stop_early: bool,
    batch: int,
) -> Iterator[Scored]:
    """Score in batches, on any device and for every architecture."""
    kept = ForcedPrefixes(tokenizer)
    for indices in group(examples, batch):
        chosen = [examples[i] for i in indices]
        cache, mask, first = _prefill(model, tokenizer, chosen)
        likelihoods = _score(model, tokenizer, chosen, cache, mask, first)
        kept.texts = [forced_prefixes[i] for i in indices]
        completions: Sequence[Completion | None] = (
            _decode(model, tokenizer, chosen, cache, mask, first, max_tokens, stop_early, kept)
            if max_tokens
            else [None] * len(chosen)
        )
        yield from zip(indices, likelihoods, completions, strict=True)


def _positions(mask: torch.Tensor) -> torch.Tensor:
    """Positions that count real tokens only, for models with absolute position embeddings."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def _prefill(
    model: Any, tokenizer: TextTokenizer, examples: Sequence[Example]
) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Prefill the prompts, padded on the left: the cache, the mask (rows, length) of its real
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
    forced_prefixes: ForcedPrefixes,
) -> list[Completion]:
    """Greedy completions, stopped and trimmed row by row as in the engine."""
    trimmers = [trimmer_for(example) for example in examples]
    indented = [indentation_for(example) for example in examples]
    ending = [a.until(b.finished) for a, b in zip(indented, trimmers, strict=True)]
    generated: list[list[int]] = [[] for _ in examples]
    texts = [""] * len(examples)
    finish = ["length"] * len(examples)
    running = set(range(len(examples)))
    positions = mask.sum(dim=1, keepdim=True)
    for step in range(max_tokens):
        tokens = forced_prefixes.pick(logits, texts)
        for row in sorted(running):
            if tokens[row] in tokenizer.end_ids:
                running.discard(row)
                finish[row] = "stop"
                continue
            generated[row].append(tokens[row])
            texts[row] = tokenizer.decode(generated[row])
            whole = stop_early and not texts[row].endswith(REPLACEMENT)
            if whole and ending[row](texts[row][len(forced_prefixes.texts[row]) :]):
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
        written = texts[row].removesuffix(REPLACEMENT)[len(forced_prefixes.texts[row]) :]
        kept = trimmer.trim(indented[row].apply(written), finish[row])
        completions.append(
            Completion(
                examples[row].cut.inside(kept.text),
                written,
                finish[row],
                kept.rule,
                len(generated[row]),
                tuple(generated[row]),
            )
        )
    return completions


def trimmer_for(example: Example) -> Trimmer:
    return Trimmer(
        example.prefix,
        example.suffix,
        path=example.hole.path,
        left_to_right=example.prompt.left_to_right,
    )


def indentation_for(example: Example) -> Indentation:
    return Indentation(example.prefix, example.suffix, example.hole.path)
