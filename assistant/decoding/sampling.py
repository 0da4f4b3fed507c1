"""Chooses tokens, greedily or by sampling, also among those that write a forced prefix."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import torch

from git_copilot.assistant.decoding.generation import Sampling
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

# The bounds of the characters that can follow a text.
FIRST_CHARACTER, LAST_CHARACTER = "\0", "\U0010ffff"
# Possible continuations of a partial text: none, a word, a number, a space.
CONTINUATIONS = ("", *"abcdefghijklmnopqrstuvwxyz_01 ")
MAX_CACHED = 256
Sampler = Callable[[torch.Tensor], int]


class PrefixIndex:
    """Finds the tokens that can write the beginning of a text."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._sorted: list[tuple[str, int]] = []
        self._size = 0
        self._first_tokens: dict[str, frozenset[int]] = {}

    def prepare(self, size: int) -> None:
        """Decode all ``size`` tokens of the vocabulary, once: 0.2 s for 49,152."""
        if size > self._size:
            decoded = ((self._tokenizer.decode([i]), i) for i in range(size))
            self._sorted = sorted(pair for pair in decoded if pair[0])
            self._size = size

    def tokens_for(self, text: str, size: int) -> torch.Tensor:
        """Ids (tokens,) of the tokens that begin with ``text``, and of its own first tokens as the
        tokenizer encodes it, alone or with another letter behind it. Empty where the vocabulary has
        only bytes for a character.

        Other tokens could write it as well, letter by letter, but no text that a model has seen is
        tokenized like that.

        :param size: of the vocabulary.
        """
        self.prepare(size)
        found = set(self._between(text, text + LAST_CHARACTER))
        found.update(self._prefixes_of(text))
        return torch.tensor(sorted(found), dtype=torch.long)

    def _prefixes_of(self, text: str) -> frozenset[int]:
        """The first tokens of ``text`` and of texts that continue it, where they are within it."""
        if text not in self._first_tokens:
            if len(self._first_tokens) > MAX_CACHED:
                self._first_tokens.clear()
            ids = (self._tokenizer.encode(text + letter)[0] for letter in CONTINUATIONS)
            decoded = {i: self._tokenizer.decode([i]) for i in ids}
            self._first_tokens[text] = frozenset(
                i for i, x in decoded.items() if x and text.startswith(x)
            )
        return self._first_tokens[text]

    def starting_with(self, text: str) -> list[int]:
        """Ids of the tokens that begin with ``text``."""
        self.prepare(self._tokenizer.size)
        return self._between(text, text + LAST_CHARACTER)

    def extending(self, text: str) -> list[int]:
        """Ids of the tokens that begin with ``text`` and are longer."""
        self.prepare(self._tokenizer.size)
        return self._between(text + FIRST_CHARACTER, text + LAST_CHARACTER)

    def _between(self, low: str, high: str) -> list[int]:
        """Ids of the tokens from ``low`` up to ``high``."""
        start = bisect_left(self._sorted, (low, -1))
        end = bisect_left(self._sorted, (high, -1))
        return [token for _, token in self._sorted[start:end]]


def make_sampler(sampling: Sampling) -> Sampler:
    """A function that chooses from logits (vocabulary,); deterministic for a seed."""
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


def sample_among(sample: Sampler, logits: torch.Tensor, allowed: torch.Tensor) -> int:
    """Choose one of the ``allowed`` ids."""
    allowed = allowed.to(logits.device)
    return int(allowed[sample(logits[allowed])])
