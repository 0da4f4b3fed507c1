"""Chooses tokens: greedily or by chance, kept to a text that must be written first."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import torch

from git_copilot.assistant.decoding.generation import Sampling
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

# The bounds of what a text can be followed by.
FIRST_CHARACTER, LAST_CHARACTER = "\0", "\U0010ffff"
# With what a text that is begun may go on: nothing that is known, a word, a number, a sign.
NEXT = ("", *"abcdefghijklmnopqrstuvwxyz_01 ")
MAX_FIRSTS = 256
Sampler = Callable[[torch.Tensor], int]


class PrefixIndex:
    """Which tokens can write the beginning of a text."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._sorted: list[tuple[str, int]] = []
        self._size = 0
        self._firsts: dict[str, frozenset[int]] = {}

    def prepare(self, size: int) -> None:
        """Spell all ``size`` tokens of the vocabulary, once: a fifth of a second for 49,152."""
        if size > self._size:
            spelled = ((self._tokenizer.decode([i]), i) for i in range(size))
            self._sorted = sorted(pair for pair in spelled if pair[0])
            self._size = size

    def fit(self, wanted: str, size: int) -> torch.Tensor:
        """Ids of the tokens that begin with ``wanted``, and of those that it begins with where the
        tokenizer encodes it, alone or with another letter behind it; there may be none where the
        vocabulary has but bytes for a character.

        Other tokens could write it as well, letter by letter, but no text that a model has seen is
        cut like that.
        """
        self.prepare(size)
        found = set(self._between(wanted, wanted + LAST_CHARACTER))
        found.update(self._begun(wanted))
        return torch.tensor(sorted(found), dtype=torch.long)

    def _begun(self, wanted: str) -> frozenset[int]:
        """The tokens that write the beginning of ``wanted``, as texts that go on from it have them."""
        if wanted not in self._firsts:
            if len(self._firsts) > MAX_FIRSTS:
                self._firsts.clear()
            ids = (self._tokenizer.encode(wanted + letter)[0] for letter in NEXT)
            spelled = {i: self._tokenizer.decode([i]) for i in ids}
            self._firsts[wanted] = frozenset(
                i for i, x in spelled.items() if x and wanted.startswith(x)
            )
        return self._firsts[wanted]

    def beginning(self, text: str) -> list[int]:
        """Ids of the tokens that begin with ``text``."""
        self.prepare(self._tokenizer.size)
        return self._between(text, text + LAST_CHARACTER)

    def longer(self, begun: str) -> list[int]:
        """Ids of the tokens that begin with ``begun`` and go on."""
        self.prepare(self._tokenizer.size)
        return self._between(begun + FIRST_CHARACTER, begun + LAST_CHARACTER)

    def _between(self, low: str, high: str) -> list[int]:
        """Ids of the tokens from ``low`` up to ``high``."""
        start = bisect_left(self._sorted, (low, -1))
        end = bisect_left(self._sorted, (high, -1))
        return [token for _, token in self._sorted[start:end]]


def make_sampler(sampling: Sampling) -> Sampler:
    """Chooses from logits (vocabulary,); equal calls in equal order choose alike."""
    if sampling.temperature <= 0:
        return lambda logits: int(logits.argmax())
    generator = torch.Generator().manual_seed(sampling.seed)

    def sample(logits: torch.Tensor) -> int:
        probabilities = torch.softmax(logits.cpu() / sampling.temperature, dim=-1)
        ordered, ids = probabilities.sort(descending=True)
        # Keep the smallest set whose mass reaches top_p.
        ordered[ordered.cumsum(0) - ordered > sampling.top_p] = 0
        return int(ids[torch.multinomial(ordered, 1, generator=generator)])

    return sample


def sample_among(pick: Sampler, logits: torch.Tensor, allowed: torch.Tensor) -> int:
    """Choose one of the ``allowed`` ids."""
    allowed = allowed.to(logits.device)
    return int(allowed[pick(logits[allowed])])
