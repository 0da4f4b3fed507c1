"""Key/value caches of several texts, so that two files in turn do not lose each other's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import torch

MAX_SLOTS = 4
MAX_BYTES = 2**29
# A prompt that differs only in its last tokens is the same text, typed on or taken back; one that
# would cost more of a prompt in a cache than this is another, and leaves the cache to the first.
TYPED = 64
# Two prompts that begin with fewer tokens alike (the sentinel, the path's first words) have nothing
# to do with each other. Reading so many takes less than 30 ms, and a prompt that is read whole is
# read in the same parts each time: what is read in other parts may be rounded otherwise.
WORTH_KEEPING = 64


class Cache(Protocol):
    """What a model remembers of the tokens that it has read."""

    length: int

    @property
    def bytes(self) -> int: ...
    def crop(self, length: int) -> None:
        """Forget all but the first ``length`` tokens, or everything where that cannot be done."""

    def copy(self, length: int) -> Self:
        """A cache of its own that holds the first ``length`` tokens, or nothing."""


class Backend(Protocol):
    """A forward pass with caches."""

    @property
    def croppable(self) -> bool: ...
    @property
    def bytes(self) -> int: ...
    def new_cache(self) -> Cache: ...
    def run(self, cache: Any, ids: list[int], wanted: int) -> torch.Tensor: ...


@dataclass(eq=False, slots=True)
class CacheSlot:
    """A cache, the ids it holds, and the logits after some of its prefixes."""

    cache: Any
    ids: list[int] = field(default_factory=list)
    # (length of a prefix, logits after it): another candidate for a prompt needs no forward.
    ahead: tuple[int, Any] = (0, None)

    def lost(self, length: int) -> int:
        """Tokens of the last prompt that are beyond ``length``."""
        return (self.ahead[0] or len(self.ids)) - length

    def keep(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""
        self.cache.crop(length)
        del self.ids[self.cache.length :]
        if self.ahead[0] > len(self.ids):
            self.ahead = (0, None)


class CacheSlots:
    """At most :data:`MAX_SLOTS` caches and about :data:`MAX_BYTES`, the least recently used one
    given up first."""

    def __init__(
        self, new: Callable[[], Cache], most: int = MAX_SLOTS, max_bytes: int = MAX_BYTES
    ) -> None:
        self._new = new
        self._most, self._max_bytes = most, max_bytes
        self._slots: list[CacheSlot] = []  # the one used last comes last

    @property
    def bytes(self) -> int:
        """Memory that the caches take."""
        return sum(slot.cache.bytes for slot in self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, prompt: Sequence[int]) -> CacheSlot:
        """The slot for ``prompt``: it holds as long a part of its beginning as any did, and
        nothing else."""
        best = max(
            self._slots, key=lambda slot: common_prefix_length(slot.ids, prompt), default=None
        )
        length = common_prefix_length(best.ids, prompt) if best else 0
        if best and length < min(WORTH_KEEPING, len(best.ids), len(prompt) - 1):
            best, length = None, 0
        if best is None or best.lost(length) > TYPED:
            slot = CacheSlot(best.cache.copy(length) if best and length else self._new())
            slot.ids = list(prompt[: slot.cache.length])
            if best and best.ahead[0] <= len(slot.ids):
                slot.ahead = best.ahead
        else:
            slot = best
            self._slots.remove(slot)
            if length < len(slot.ids):
                slot.keep(length)
        self._slots.append(slot)
        self.tidy()
        return slot

    def tidy(self) -> None:
        """Give up what is beyond the bounds; the slot used last stays."""
        while len(self._slots) > 1 and (
            len(self._slots) > self._most or self.bytes > self._max_bytes
        ):
            self._slots.pop(0)

    def drop(self, slot: CacheSlot) -> None:
        """Forget a slot whose state is unknown."""
        if slot in self._slots:
            self._slots.remove(slot)


def common_prefix_length(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    pairs = zip(ours, theirs, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
