"""Attention of few queries, of many, and of the branches of a tree of texts."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from git_copilot.assistant.backend.int8_linear import ROW_STEP


class Attention:
    """Queries are (n, heads, size); keys (groups, size, tokens) and values (groups, tokens, size),
    each shared by the heads of a group (Ainslie et al. 2023, arXiv 2305.13245)."""

    def __init__(self, heads: int, groups: int, size: int, dtype: torch.dtype) -> None:
        """:param dtype: to compute in for many queries."""
        self._heads, self._groups, self._size = heads, groups, size
        self._dtype = dtype
        self._step = ROW_STEP if dtype == torch.bfloat16 else 1
        self._placeholder = torch.zeros(1)

    def causal_mask(self, count: int, start: int) -> torch.Tensor | None:
        """The mask of ``count`` queries behind ``start`` other tokens, for :meth:`many`; none at
        the beginning of a text, where the kernel is faster without."""
        if not start:
            return None
        shape = self._padded(count), self._padded(start + count)
        return torch.full(shape, -torch.inf, dtype=self._dtype).triu_(start + 1)

    def _padded(self, count: int) -> int:
        return -(-count // self._step) * self._step

    def few(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int
    ) -> torch.Tensor:
        """Attention of few queries (n, heads, size), written out: torch's kernel takes four times
        as long. Heads that share keys become rows of one product.

        Each query has its own products, since several at once round differently: a draft would not
        be verified exactly as its tokens are computed one by one.
        """
        shape = (self._groups, self._heads // self._groups, self._size)
        scale = 1 / math.sqrt(self._size)
        found = []
        for index, query in enumerate(queries.unbind()):
            end = start + index + 1
            scores = torch.baddbmm(
                self._placeholder, query.reshape(shape), keys[:, :, :end], beta=0, alpha=scale
            )
            found.append(torch.bmm(torch.softmax(scores, dim=-1), values[:, :end]))
        return found[0] if len(found) == 1 else torch.stack(found)

    def many(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Attention of many queries (n, heads, size), with torch's kernel. It is told of shared
        heads by copies: left to repeat them itself it takes five times as long.

        :param mask: added to the scores, (queries, keys); ``None``: the keys are of the same
            tokens, and each query sees those up to its own.
        """
        count = len(queries)

        def heads(rows: torch.Tensor) -> torch.Tensor:
            """Rows (groups, tokens, size) or (heads, tokens, size) for all heads, padded."""
            groups, tokens, size = rows.shape
            found = torch.empty(
                groups, self._heads // groups, self._padded(tokens), size, dtype=self._dtype
            )
            found[:, :, :tokens] = rows[:, None]
            found[:, :, tokens:] = 0
            return found.view(1, self._heads, -1, size)

        found = functional.scaled_dot_product_attention(
            heads(queries.transpose(0, 1)),
            heads(keys.transpose(1, 2)),
            heads(values),
            attn_mask=mask,
            is_causal=mask is None,
        )
        return found[0, :, :count].transpose(0, 1)

    def branches(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """The same for one query of each of several texts, written out and in float32.

        :param mask: added to the scores of the newest keys, (queries, newest keys); all queries see
            the keys before these.
        """
        count, each = len(queries), self._heads // self._groups
        rows = queries / math.sqrt(self._size)
        rows = rows.view(count, self._groups, each, self._size).permute(1, 2, 0, 3)
        scores = torch.bmm(rows.reshape(self._groups, each * count, self._size), keys)
        scores.view(self._heads, count, -1)[:, :, -mask.shape[1] :].add_(mask)
        found = torch.bmm(torch.softmax(scores, dim=-1), values)
        return found.view(self._groups, each, count, self._size).permute(2, 0, 1, 3)
