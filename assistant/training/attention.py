"""Causal attention for training on a CPU, as matrix products that oneDNN runs at full speed.

torch's fused kernel takes five times as long for 128 tokens, forward and backward in bf16, and
twice as long for 512. Here the queries of heads that share keys are one product, and a block of
queries is multiplied only with the keys before its end.
"""

from __future__ import annotations

from typing import Any

import torch

from git_copilot.assistant.backend import torch_ops

NAME = "git-copilot-causal"
# Queries per block: smaller blocks waste less on later keys, larger ones make larger products.
BLOCK = 256


class _Causal(torch.autograd.Function):
    """softmax(q k' + mask) v; ``q`` is scaled. Grouped queries; gradients for all three.

    ``q`` is (batch, heads, length, size), ``k`` and ``v`` (batch, groups, length, size).
    """

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        batch, heads, length, size = q.shape
        groups = k.shape[1]
        rows = q.reshape(batch * groups, heads // groups, length, size)
        keys, values = (x.reshape(batch * groups, length, size) for x in (k, v))
        result = torch.empty_like(rows)
        all_weights = []
        for begin in range(0, length, BLOCK):
            end = min(begin + BLOCK, length)
            part = rows[:, :, begin:end].reshape(batch * groups, -1, size)
            scores = torch.bmm(part, keys[:, :end].transpose(1, 2))
            scores.view(batch * groups, -1, end - begin, end).add_(_mask(begin, end, q.dtype))
            weights = torch.softmax(scores, -1)
            written = torch.bmm(weights, values[:, :end])
            result[:, :, begin:end] = written.view(batch * groups, -1, end - begin, size)
            all_weights.append(weights)
        ctx.save_for_backward(rows, keys, values, *all_weights)
        return result.view(batch, heads, length, size)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        rows, keys, values, *all_weights = ctx.saved_tensors
        batch_groups, _, length, size = rows.shape
        batch, heads = grads[0].shape[:2]
        grad = grads[0].reshape(rows.shape)
        grad_rows, grad_keys = torch.empty_like(rows), torch.zeros_like(keys)
        grad_values = torch.zeros_like(values)
        for begin, weights in zip(range(0, length, BLOCK), all_weights, strict=True):
            end = min(begin + BLOCK, length)
            grad_part = grad[:, :, begin:end].reshape(batch_groups, -1, size)
            part = rows[:, :, begin:end].reshape(batch_groups, -1, size)
            grad_values[:, :end] += torch.bmm(weights.transpose(1, 2), grad_part)
            grad_weights = torch.bmm(grad_part, values[:, :end].transpose(1, 2))
            grad_scores = torch_ops.softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            grad_rows[:, :, begin:end] = torch.bmm(grad_scores, keys[:, :end]).view(
                batch_groups, -1, end - begin, size
            )
            grad_keys[:, :end] += torch.bmm(grad_scores.transpose(1, 2), part)
        groups = batch_groups // batch
        return (
            grad_rows.view(batch, heads, length, size),
            grad_keys.view(batch, groups, length, size),
            grad_values.view(batch, groups, length, size),
        )


def _mask(begin: int, end: int, dtype: torch.dtype) -> torch.Tensor:
    """The mask for queries ``[begin, end)`` and the keys before ``end``, added to their scores."""
    return torch.full((end - begin, end), -torch.inf, dtype=dtype).triu(begin + 1)


def causal_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention with the signature that transformers calls; ``attention_mask`` is ignored."""
    scaled = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    result = _Causal.apply(scaled, key, value)  # type: ignore[no-untyped-call]
    return result.transpose(1, 2).contiguous(), None


def use_causal_attention(model: Any) -> bool:
    """Use it for a model on a CPU if the result is the same; whether it was done.

    Llama's and Qwen2's attention are plain; others may have a window, a cap or sinks.
    """
    config = model.config
    plain = config.model_type in ("llama", "qwen2") and model.device.type == "cpu"
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not plain or layers != {"full_attention"} or getattr(config, "use_sliding_window", False):
        return False
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, causal_attention)
    model.set_attn_implementation(NAME)
    return True
