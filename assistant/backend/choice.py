"""Which forward pass a model gets: ours, where it computes what the model computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from git_copilot.assistant.backend.cache_slots import Backend
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaWeights, supports
from git_copilot.assistant.backend.precision import choose_formats, dtype_name, formats_of
from git_copilot.assistant.backend.transformers_backend import TransformersBackend


def choose_backend(
    model: Any, precision: str = "", cache: Path | None = None
) -> tuple[Backend, str]:
    """The forward pass of a model, and the name of its precision.

    :param model: a causal transformers model, or :class:`LlamaWeights`.
    :param precision: as for :func:`~git_copilot.assistant.backend.precision.choose_formats`;
        empty: that of the model's weights.
    :param cache: see :func:`~git_copilot.assistant.backend.kernel_rates.kernel_rates`.
    """
    weights = _llama_weights(model)
    if weights is not None:
        formats = (
            choose_formats(precision, weights.layer_shape, cache)
            if precision
            else formats_of(model.dtype)
        )
        if formats is not None:
            return LlamaDecoder(weights, formats, cache), formats.name
    return TransformersBackend(model), dtype_name(model.dtype)


def _llama_weights(model: Any) -> LlamaWeights | None:
    """A model's weights, where llama.py computes what it computes."""
    if isinstance(model, LlamaWeights):
        return model
    return LlamaWeights.from_transformers(model) if supports(model) else None
