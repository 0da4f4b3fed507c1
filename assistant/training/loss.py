"""The loss of chosen positions without all their logits in memory: blocks of rows pass the output
layer and become gradients at once.

The logits of 1,024 positions over a vocabulary of 49,152 take 200 MB in float32, and autograd keeps
three of that size. After Liger Kernel's fused linear cross entropy (Hsu et al. 2024,
arXiv 2410.10989), for a frozen output layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

# Rows per block: their logits fit into the processor's last-level cache.
ROWS = 128
# Architectures whose logits are the output layer's, not scaled, capped or shifted.
PLAIN_HEADS = frozenset({"llama", "qwen2", "mistral", "starcoder2"})


class _Loss(torch.autograd.Function):
    """The sum of ``weights`` times the negative log-likelihoods of ``targets``.

    ``rows`` are hidden states (n, hidden), ``head`` is (vocabulary, hidden) and gets no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: torch.Tensor,
        head: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        weights: torch.Tensor,
        excluded: torch.Tensor | None,
        block: int,
    ) -> torch.Tensor:
        grad, total = torch.empty_like(rows), rows.new_zeros((), dtype=torch.float32)
        for begin in range(0, len(rows), block):
            part = slice(begin, begin + block)
            logits = functional.linear(rows[part], head, bias).float()
            if excluded is not None:
                leave_out(logits, excluded[part])
            target, weight = targets[part, None], weights[part, None]
            total_log = torch.logsumexp(logits, -1, keepdim=True)
            total += ((total_log - logits.gather(1, target)) * weight).sum()
            probabilities = logits.sub_(total_log).exp_()
            probabilities.scatter_add_(1, target, -torch.ones_like(weight)).mul_(weight)
            grad[part] = probabilities.to(head.dtype) @ head
        ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = ctx.saved_tensors
        return grad * grads[0].to(grad.dtype), None, None, None, None, None, None


def has_plain_head(model: Any) -> bool:
    """Whether :func:`weighted_loss` supports this model."""
    return model.config.model_type in PLAIN_HEADS


def weighted_loss(
    model: Any,
    ids: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    excluded: torch.Tensor | None = None,
) -> torch.Tensor:
    """The sum of ``weights`` times the negative log-likelihood (nats) of ``targets``.

    :param model: a causal model of transformers that :func:`has_plain_head`, its output layer frozen.
    :param ids: (batch, length); ``targets``, ``weights`` and ``excluded`` likewise, for the token
        after each.
    """
    head = model.get_output_embeddings()
    selected = weights > 0
    hidden = model.base_model(ids, use_cache=False).last_hidden_state[selected]
    left_out = None if excluded is None else excluded[selected]
    return head_loss(hidden, head.weight, head.bias, targets[selected], weights[selected], left_out)


def head_loss(
    hidden: torch.Tensor,
    head: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    weights: torch.Tensor,
    excluded: torch.Tensor | None = None,
    block: int = ROWS,
) -> torch.Tensor:
    """The sum of ``weights`` times the negative log-likelihood (nats) of ``targets``, with a frozen
    output layer.

    :param hidden: (n, hidden); ``targets`` and ``weights`` have n elements.
    :param head: (vocabulary, hidden).
    :param excluded: n ids of tokens that are known not to follow, negative for none.
    :param block: how many rows of logits are in memory at once.
    """
    loss: torch.Tensor = _Loss.apply(  # type: ignore[no-untyped-call]
        hidden, head, bias, targets, weights, excluded, block
    )
    return loss


def leave_out(logits: torch.Tensor, excluded: torch.Tensor) -> None:
    """Make one token of each row impossible, in place.

    :param logits: (n, vocabulary); ``excluded`` are n ids, negative for none.
    """
    rows = torch.nonzero(excluded >= 0).squeeze(1)
    logits[rows, excluded[rows]] = -torch.inf


@contextmanager
def only_positions(model: Any) -> Iterator[Callable[[torch.Tensor | None], None]]:
    """Apply the output layer to chosen positions only; logits then have shape (chosen, vocabulary).

    It is the largest layer of a small model; with 49,152 tokens it costs more than all others when
    every position passes it. Yields a function that takes a mask (batch, length), or ``None`` for
    all positions.
    """
    selected: list[torch.Tensor | None] = [None]

    def pick(module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        mask = selected[0]
        return None if mask is None else (inputs[0][mask], *inputs[1:])

    def select(mask: torch.Tensor | None) -> None:
        selected[0] = mask

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield select
    finally:
        handle.remove()
