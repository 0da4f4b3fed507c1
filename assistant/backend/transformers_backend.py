"""The forward pass of transformers with the interface of llama.py: any architecture and device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch

# Prompt tokens in one pass: a cancelled request is noticed between two.
ROWS_AT_ONCE = 256


class TransformersCache:
    """A transformers cache for one text."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self.length = 0
        self.state, self.croppable = _new_state(config)

    @property
    def bytes(self) -> int:
        found = 0
        for layer in self.state.layers:
            for tensor in vars(layer).values():
                found += tensor.nbytes if isinstance(tensor, torch.Tensor) else 0
        return found

    @property
    def unfinished_ids(self) -> Sequence[int]:
        """None: every pass ends."""
        return ()

    def reserve(self, length: int) -> None:
        """This cache grows by itself."""

    def crop(self, length: int) -> None:
        """Keep the first ``length`` tokens; a state that cannot be cropped is reset."""
        if length >= self.length:
            return
        if self.croppable and length:
            self.state.crop(length - self.length)  # a negative count: tokens to remove
            self.length = length
        else:
            self.state, self.croppable = _new_state(self._config)
            self.length = 0

    def copy(self, length: int) -> Self:
        """A separate cache of the first ``length`` tokens, or an empty one."""
        made = copy.copy(self)
        if self.croppable:
            made.state = copy.deepcopy(self.state)
            made.crop(length)
        else:
            made.state, made.croppable = _new_state(self._config)
            made.length = 0
        return made


class TransformersBackend:
    """Runs a transformers model token for token as
    :class:`~git_copilot.assistant.backend.llama.LlamaDecoder` does."""

    def __init__(self, model: Any) -> None:
        """:param model: a causal model in evaluation mode, on any device."""
        self._model = model

    @property
    def croppable(self) -> bool:
        """Whether tokens can be taken back: speculative decoding needs that."""
        return self.new_cache().croppable

    @property
    def bytes(self) -> int:
        return sum(p.nbytes for p in self._model.parameters())

    def new_cache(self) -> TransformersCache:
        return TransformersCache(self._model.config)

    def forward(self, cache: TransformersCache, ids: list[int], wanted: int) -> torch.Tensor:
        """See :meth:`git_copilot.assistant.backend.llama.LlamaDecoder.forward`."""
        inputs = torch.tensor([ids], device=self._model.device)
        # 0 would keep the logits of all tokens.
        output = self._model(inputs, past_key_values=cache.state, logits_to_keep=max(wanted, 1))
        cache.length += len(ids)
        logits: torch.Tensor = output.logits[0, -max(wanted, 1) :].float()
        return logits

    def read(
        self, cache: TransformersCache, ids: Sequence[int], interrupted: Callable[[], bool]
    ) -> tuple[int, torch.Tensor]:
        """See :meth:`git_copilot.assistant.backend.llama.LlamaDecoder.read`; a pass, once begun,
        ends."""
        part = list(ids[:ROWS_AT_ONCE])
        return len(part), self.forward(cache, part, 1)[0]


def _new_state(config: Any) -> tuple[Any, bool]:
    """An empty cache, and whether it can be cropped.

    A sliding window is kept whole, so that tokens can be taken back; the mask hides what the model
    may not see. A recurrent layer's state cannot be taken back.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    by_config = DynamicCache(config=config)
    plain = {DynamicLayer, DynamicSlidingWindowLayer}
    if {type(layer) for layer in by_config.layers} <= plain:
        return DynamicCache(), True
    return by_config, False
