"""Decodes several texts behind one prompt at once: all sequences share each forward pass."""

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
    states: Sequence[DecodingState],
    expired: Callable[[], bool],
    max_tokens: int,
) -> None:
    """Decode until all are finished or ``expired`` says so; the slot then holds the prompt alone.

    The tokens of all texts stand in one cache behind the prompt; a mask shows each text its own.

    :param slot: holds the prompt; the states are new.
    :param logits: those behind the prompt, (vocabulary,).
    :param max_tokens: the most that all texts have together.
    """
    start, cache = len(slot.ids), slot.cache
    mask = torch.full((len(states), start + max_tokens), -torch.inf)
    mask[:, :start] = 0
    live = [(row, state) for row, state in enumerate(states) if state.add(logits)]
    depth = start
    while live and not expired():
        rows = [row for row, _ in live]
        before = cache.length
        mask[rows, range(before, before + len(live))] = 0
        visible = mask[rows, : before + len(live)]
        depths = [depth] * len(live)
        found = decoder.forward_batch(cache, [state.ids[-1] for _, state in live], depths, visible)
        depth += 1
        live = [pair for pair, row in zip(live, found, strict=True) if pair[1].add(row)]
    cache.crop(start)


def search_likelier_line(
    backend: Backend,
    slot: CacheSlot,
    start: int,
    state: DecodingState,
    expired: Callable[[], bool],
) -> None:
    """Search for a likelier line than the one in the slot, behind its first ``start`` tokens."""
    if isinstance(backend, LlamaDecoder):
        tree = TokenTree(backend, slot, start)
        state.search_likelier_line(tree.forward, expired)
        tree.discard()
    else:
        state.search_likelier_line(partial(_forward_in_turn, backend, slot, start), expired)


def _forward_in_turn(
    backend: Backend, slot: CacheSlot, start: int, texts: Sequence[Sequence[int]]
) -> torch.Tensor:
    """The logits (texts, vocabulary) behind each of texts that follow the first ``start`` tokens in
    the slot, which then holds the last of them."""
    rows = []
    for ids in texts:
        known = common_prefix_length(slot.ids[start:], ids[:-1])
        slot.crop(start + known)
        rows.append(backend.forward(slot.cache, list(ids[known:]), 1))
        slot.ids += ids[known:]
    return torch.cat(rows)


class TokenTree:
    """Texts behind one prompt as a tree, each of whose tokens is read once (tree attention)."""

    def __init__(self, decoder: LlamaDecoder, slot: CacheSlot, start: int) -> None:
        """:param slot: holds the prompt, its first ``start`` tokens, and one text."""
        self._decoder, self._slot, self._start = decoder, slot, start
        text = tuple(slot.ids[start:])
        self._positions = {text[: i + 1]: i for i in range(len(text))}

    def forward(self, texts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """The logits (texts, vocabulary) behind texts of which all but the last token were read."""
        known = self._slot.cache.length - self._start
        mask = torch.full((len(texts), known + len(texts)), -torch.inf)
        for row, ids in enumerate(texts):
            mask[row, [self._positions[ids[:i]] for i in range(1, len(ids))]] = 0
            mask[row, known + row] = 0
            self._positions[ids] = known + row
        depths = [self._start + len(ids) - 1 for ids in texts]
        newest = [ids[-1] for ids in texts]
        return self._decoder.forward_batch(self._slot.cache, newest, depths, mask)

    def discard(self) -> None:
        """Restore the slot to what it held."""
        self._slot.cache.crop(len(self._slot.ids))
