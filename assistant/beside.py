"""Several texts behind one prompt, written side by side: each forward reads the weights once for
the next token of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from git_copilot.assistant.decoder import Decoder
from git_copilot.assistant.slots import Slot
from git_copilot.assistant.writing import Writing


def write_beside(
    decoder: Decoder,
    slot: Slot,
    logits: torch.Tensor,
    writings: Sequence[Writing],
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
        rows = decoder.run_beside(cache, [each.ids[-1] for _, each in live], depth, seen)
        depth += 1
        live = [pair for pair, row in zip(live, rows, strict=True) if pair[1].add(row)]
    cache.crop(start)
