"""The forward pass of transformers behind the interface of llama.py: every architecture, CUDA
and MPS."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch


class TransformersCache:
    """A cache of transformers for one text."""

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

    def crop(self, length: int) -> None:
        """Forget all but the first ``length`` tokens; a state that cannot go back forgets all."""
        if length >= self.length:
            return
        if self.croppable and length:
            self.state.crop(length - self.length)  # a negative count: tokens to take away
            self.length = length
        else:
            self.state, self.croppable = _new_state(self._config)
            self.length = 0

    def copy(self, length: int) -> Self:
        """The first ``length`` tokens in a cache of its own, or an empty one."""
        made = copy.copy(self)
        if self.croppable:
            made.state = copy.deepcopy(self.state)
            made.crop(length)
        else:
            made.state, made.croppable = _new_state(self._config)
            made.length = 0
        return made


class TransformersBackend:
    """Runs a transformers model token for token as :class:`~git_copilot.assistant.backend.llama.LlamaDecoder`
    does."""

    def __init__(self, model: Any) -> None:
        """:param model: a causal model in evaluation mode, on any device."""
        self._model = model

    @property
    def croppable(self) -> bool:
        """Whether tokens can be taken back: guesses need that."""
        return self.new_cache().croppable

    @property
    def bytes(self) -> int:
        return sum(p.nbytes for p in self._model.parameters())

    def new_cache(self) -> TransformersCache:
        return TransformersCache(self._model.config)

    def run(self, cache: TransformersCache, ids: list[int], wanted: int) -> torch.Tensor:
        """See :meth:`git_copilot.assistant.backend.llama.LlamaDecoder.run`."""
        inputs = torch.tensor([ids], device=self._model.device)
        # 0 would keep all of them.
        output = self._model(inputs, past_key_values=cache.state, logits_to_keep=max(wanted, 1))
        cache.length += len(ids)
        logits: torch.Tensor = output.logits[0, -max(wanted, 1) :].float()
        return logits


def _new_state(config: Any) -> tuple[Any, bool]:
    """An empty cache, and whether it can be cropped.

    A window that slides is kept whole, so that tokens can be taken back; the mask hides what the
    model may not see. What a recurrent layer has read cannot be taken back.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    by_config = DynamicCache(config=config)
    plain = {DynamicLayer, DynamicSlidingWindowLayer}
    if {type(layer) for layer in by_config.layers} <= plain:
        return DynamicCache(), True
    return by_config, False
