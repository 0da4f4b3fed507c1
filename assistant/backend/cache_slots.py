"""Key/value caches of several texts, so that alternating between files does not lose a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import torch

MAX_SLOTS = 4
# Three prompts of 1,024 tokens of the default model.
MAX_BYTES = 160 * 2**20
# A prompt that differs only in its last tokens is the same text, typed on or deleted; one that
# would cost a cache more tokens of its prompt than this is another text, and gets a slot of its
# own.
MAX_TYPED_TOKENS = 64
# Two prompts that share fewer tokens (the control token, the first words of the path) are
# unrelated. Reading that many takes less than 30 ms, and a prompt that is read whole is always read
# in the same parts: read in other parts it may be rounded differently.
MIN_SHARED_TOKENS = 64


class Cache(Protocol):
    """The keys and values of the tokens that a model has read."""

    length: int

    @property
    def unfinished_ids(self) -> Sequence[int]:
        """Tokens behind the others, of a forward pass that was interrupted."""

    @property
    def bytes(self) -> int: ...
    def reserve(self, length: int) -> None:
        """Make room for ``length`` tokens in total, where that saves copying later."""

    def crop(self, length: int) -> None:
        """Keep the first ``length`` tokens, or none where that cannot be done."""

    def copy(self, length: int) -> Self:
        """A separate cache of the first ``length`` tokens, or of none."""


class Backend(Protocol):
    """A forward pass with caches."""

    @property
    def croppable(self) -> bool:
        """Whether tokens can be taken back from a cache."""

    @property
    def bytes(self) -> int:
        """Memory of all weights."""

    def new_cache(self) -> Cache: ...
    def forward(self, cache: Any, ids: list[int], wanted: int) -> torch.Tensor:
        """See :meth:`git_copilot.assistant.backend.llama.LlamaDecoder.forward`."""

    def read(
        self, cache: Any, ids: Sequence[int], interrupted: Callable[[], bool]
    ) -> tuple[int, torch.Tensor]:
        """See :meth:`git_copilot.assistant.backend.llama.LlamaDecoder.read`."""


@dataclass(eq=False, slots=True)
class CacheSlot:
    """A cache, the ids that it holds, and the logits after one prefix of them."""

    cache: Any
    ids: list[int] = field(default_factory=list)
    # (length of a prefix, logits after it): another candidate for a prompt needs no forward pass.
    known_logits: tuple[int, Any] = (0, None)

    @property
    def all_ids(self) -> list[int]:
        """The ids, and those of a pass that was interrupted behind them."""
        return [*self.ids, *self.cache.unfinished_ids]

    def shared_with(self, prompt: Sequence[int]) -> int:
        """How many tokens of ``prompt`` it holds, or has begun to read."""
        return common_prefix_length(self.all_ids, prompt)

    def tokens_beyond(self, length: int) -> int:
        """Tokens of the last prompt after the first ``length``."""
        return (self.known_logits[0] or len(self.ids)) - length

    def crop(self, length: int) -> None:
        """Keep the first ``length`` tokens."""
        self.cache.crop(length)
        del self.ids[self.cache.length :]
        if self.known_logits[0] > len(self.ids):
            self.known_logits = (0, None)


class CacheSlots:
    """At most :data:`MAX_SLOTS` caches and about :data:`MAX_BYTES`; the least recently used one is
    evicted first."""

    def __init__(
        self,
        new_cache: Callable[[], Cache],
        max_slots: int = MAX_SLOTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._new_cache = new_cache
        self._max_slots, self._max_bytes = max_slots, max_bytes
        self._slots: list[CacheSlot] = []  # the most recently used one last

    @property
    def bytes(self) -> int:
        """Memory of the caches."""
        return sum(slot.cache.bytes for slot in self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, prompt: Sequence[int]) -> CacheSlot:
        """The slot for ``prompt``: it holds the longest prefix of it that any slot has, and nothing
        else."""
        best = max(self._slots, key=lambda slot: slot.shared_with(prompt), default=None)
        length = best.shared_with(prompt) if best else 0
        if best and length < min(MIN_SHARED_TOKENS, len(best.all_ids), len(prompt) - 1):
            best, length = None, 0
        length = min(length, len(best.ids)) if best else 0
        if best is None or best.tokens_beyond(length) > MAX_TYPED_TOKENS:
            slot = CacheSlot(best.cache.copy(length) if best and length else self._new_cache())
            slot.ids = list(prompt[: slot.cache.length])
            if best and best.known_logits[0] <= len(slot.ids):
                slot.known_logits = best.known_logits
        else:
            slot = best
            self._slots.remove(slot)
            if length < len(slot.ids):
                slot.crop(length)
        self._slots.append(slot)
        self.evict()
        return slot

    def longest_prefix(self, prompt: Sequence[int]) -> int:
        """How many tokens of ``prompt`` the best slot holds."""
        return max((common_prefix_length(each.ids, prompt) for each in self._slots), default=0)

    def evict(self) -> None:
        """Drop slots beyond the bounds, but never the most recently used one."""
        while len(self._slots) > 1 and (
            len(self._slots) > self._max_slots or self.bytes > self._max_bytes
        ):
            self._slots.pop(0)

    def drop(self, slot: CacheSlot) -> None:
        """Drop a slot whose state is unknown."""
        if slot in self._slots:
            self._slots.remove(slot)


def common_prefix_length(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """The number of tokens with which both texts begin."""
    pairs = zip(ours, theirs, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
