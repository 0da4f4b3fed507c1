"""Whole passages of files as training examples, in the format of Personal Copilot.

Half of the sequences are cut in three at random characters and rearranged for fill-in-the-middle
(Bavarian et al. 2022, arXiv 2207.14255), half of those with the suffix first; every token has loss,
that of the suffix too. Unlike there, a rearranged sequence ends with the end token: a model that
never sees it behind a middle does not learn where to stop.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.prompt.builder import LEFT_TO_RIGHT, Prompt
from git_copilot.assistant.prompt.fim import FimFormat
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.corpus.holes import seeded_random

# The shares of sequences that are rearranged, and of these of those with the suffix first.
FIM_RATE, SPM_RATE = 0.5, 0.5
# Families whose training had both orders. The others keep their own.
BOTH_ORDERS = frozenset({"starcoder", "starcoder2", "santacoder", "codellama"})
# Code has more characters a token: a sequence rarely has more tokens than it may.
CHARACTERS_PER_TOKEN = 3


def sequence_examples(
    tokenizer: TextTokenizer, cuts: Iterable[Cut], tokens: int, seed: int
) -> list[Example]:
    """One example for each cut, whose middle is the whole passage.

    :param tokens: longer ones lose their beginning.
    :param seed: the choice of orders and of places depends on it and on the hole.
    """
    return [_example(tokenizer, cut, tokens, seed) for cut in cuts]


def _example(tokenizer: TextTokenizer, cut: Cut, tokens: int, seed: int) -> Example:
    hole = cut.hole
    rng = seeded_random("sequence", str(seed), hole.blob, hole.path, str(hole.start))
    fim = tokenizer.fim
    if fim is not None and rng.random() < FIM_RATE:
        ids = _rearranged(tokenizer, fim, cut.middle, tokens, rng)
    else:
        end = [] if cut.suffix.strip() else [tokenizer.end_id]
        room = tokens - len(tokenizer.begin_ids) - len(end)
        ids = [*tokenizer.begin_ids, *tokenizer.encode(cut.middle)[-room:], *end]
    # Only the first token has no loss.
    prompt = Prompt(tuple(ids[:1]), (), LEFT_TO_RIGHT)
    return Example(prompt.ids, tuple(ids[1:]), cut, prompt)


def _rearranged(
    tokenizer: TextTokenizer, fim: FimFormat, text: str, tokens: int, rng: random.Random
) -> list[int]:
    """``text`` cut at two random characters, in an order of the family."""
    first, second = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    suffix_first = rng.random() < SPM_RATE if fim.family in BOTH_ORDERS else fim.order == "spm"
    before, middle, behind = (
        tokenizer.encode(part) for part in (text[:first], text[first:second], text[second:])
    )
    controls = [name for name in (fim.prefix, fim.suffix, fim.middle) if name]
    room = tokens - len(tokenizer.begin_ids) - len(controls) - 1
    before = before[max(0, len(before) + len(middle) + len(behind) - room) :]
    p, s = tokenizer.control(fim.prefix), tokenizer.control(fim.suffix)
    m = [tokenizer.control(fim.middle)] if fim.middle else []
    if not suffix_first:
        ids = [p, *before, s, *behind, *m, *middle]
    elif fim.order == "psm":
        # As these families were trained: prefix and middle are one text behind the middle token.
        ids = [p, s, *behind, *m, *before, *middle]
    else:
        ids = [s, *behind, p, *before, *m, *middle]
    return [*tokenizer.begin_ids, *ids, tokenizer.end_id][:tokens]
