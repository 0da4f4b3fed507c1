"""Several texts behind one prompt, side by side: each forward reads the weights once for a token of
each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from git_copilot.assistant.backend.cache_slots import Backend, CacheSlot, common_prefix_length
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.decoding.decoding_state import DecodingState


def decode_batch(
    decoder: LlamaDecoder,
    slot: CacheSlot,
    logits: torch.Tensor,
    writings: Sequence[DecodingState],
    over: Callable[[], bool],
    most: int,
) -> None:
    """Write until all are finished or ``over`` says so; the slot then holds the prompt alone.

    The tokens of all stand in one cache behind the prompt, and a mask shows each text its own.

    :param slot: holds the prompt, which is behind none of the writings yet.
    :param logits: what follows it, (vocabulary,).
    :param most: tokens that all may write together.
    """
    start, cache = len(slot.ids), slot.cache
    mask = torch.full((len(writings), start + most), -torch.inf)
    mask[:, :start] = 0
    live = [(number, each) for number, each in enumerate(writings) if each.add(logits)]
    depth = start
    while live and not over():
        numbers = [number for number, _ in live]
        before = cache.length
        mask[numbers, range(before, before + len(live))] = 0
        seen = mask[numbers, : before + len(live)]
        depths = [depth] * len(live)
        rows = decoder.run_beside(cache, [each.ids[-1] for _, each in live], depths, seen)
        depth += 1
        live = [pair for pair, row in zip(live, rows, strict=True) if pair[1].add(row)]
    cache.crop(start)


def improve(
    backend: Backend, slot: CacheSlot, start: int, writing: DecodingState, over: Callable[[], bool]
) -> None:
    """Look for a likelier line than the one in the slot, behind its first ``start`` tokens."""
    if isinstance(backend, LlamaDecoder):
        branches = TokenTree(backend, slot, start)
        writing.improve(branches.follow, over)
        branches.forget()
    else:
        writing.improve(partial(_one_by_one, backend, slot, start), over)


def _one_by_one(
    backend: Backend, slot: CacheSlot, start: int, texts: Sequence[Sequence[int]]
) -> torch.Tensor:
    """The logits (texts, vocabulary) behind each of texts that follow the first ``start`` tokens in
    the slot, which holds the last of them then."""
    rows = []
    for ids in texts:
        known = common_prefix_length(slot.ids[start:], ids[:-1])
        slot.keep(start + known)
        rows.append(backend.run(slot.cache, list(ids[known:]), 1))
        slot.ids += ids[known:]
    return torch.cat(rows)


class TokenTree:
    """Texts that branch off each other behind one prompt, each of whose tokens is read once."""

    def __init__(self, decoder: LlamaDecoder, slot: CacheSlot, start: int) -> None:
        """:param slot: holds the prompt, its first ``start`` tokens, and one text."""
        self._decoder, self._slot, self._start = decoder, slot, start
        text = tuple(slot.ids[start:])
        self._places = {text[: i + 1]: i for i in range(len(text))}

    def follow(self, texts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """The logits (texts, vocabulary) behind texts of which all but the last token were read."""
        known = self._slot.cache.length - self._start
        mask = torch.full((len(texts), known + len(texts)), -torch.inf)
        for row, ids in enumerate(texts):
            mask[row, [self._places[ids[:i]] for i in range(1, len(ids))]] = 0
            mask[row, known + row] = 0
            self._places[ids] = known + row
        depths = [self._start + len(ids) - 1 for ids in texts]
        return self._decoder.run_beside(self._slot.cache, [ids[-1] for ids in texts], depths, mask)

    def forget(self) -> None:
        """Leave to the slot what it held."""
        self._slot.cache.crop(len(self._slot.ids))
