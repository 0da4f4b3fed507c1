"""A forward pass of Llama-like models for one user on a CPU: few rows, a static cache.

That of transformers takes 50 ms per token for 135 M parameters, of which matrix products need 7;
the rest is a cache that is copied to grow, attention kernels made for many queries, and Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional

from git_copilot.assistant.backend import few_rows
from git_copilot.assistant.backend.arrangement import (
    Int8Layer,
    Int8Weights,
    JoinedLayer,
    int8_weights,
    join_layer,
)
from git_copilot.assistant.backend.attention import Attention
from git_copilot.assistant.backend.cache_slots import common_prefix_length
from git_copilot.assistant.backend.few_rows import FewRows, NativeLinear
from git_copilot.assistant.backend.formats import Formats
from git_copilot.assistant.backend.int8_linear import Scratch
from git_copilot.assistant.backend.kv_cache import GROWTH, KVCache, UnfinishedPass
from git_copilot.assistant.backend.linear import (
    MAX_FEW_ROWS,
    GatedLinear,
    Linear,
    SplitLinear,
    make_gated,
    make_int8_linear,
    make_linear,
)
from git_copilot.assistant.backend.llama_weights import LinearWeights, LlamaWeights
from git_copilot.assistant.backend.precision import score_dtype
from git_copilot.assistant.backend.thread_chooser import ThreadChooser

# Prompt tokens in one pass.
ROWS_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class _Layer:
    norm1: torch.Tensor
    qkv: Linear
    out: Linear
    norm2: torch.Tensor
    gated: GatedLinear
    down: Linear


# Queries (tokens, heads, size), all keys and all values to attended values (tokens, ..., size).
_Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class LlamaDecoder:
    """Weights of a Llama-like model, arranged for decoding. Not thread-safe."""

    croppable = True

    def __init__(self, weights: LlamaWeights, formats: Formats, cache: Path | None = None) -> None:
        """:param cache: see :func:`~git_copilot.assistant.backend.arrangement.int8_weights`."""
        config = weights.config
        self._heads = config.heads
        self._groups = config.key_value_heads
        self._size = config.head_size
        self._hidden = config.hidden_size
        self._eps_row = torch.full((1, 1), config.norm_eps)
        self._placeholder = torch.zeros(1)
        self._few = formats.few
        self._dtype = score_dtype(formats)
        self._scratch = Scratch()
        self._attention = Attention(self._heads, self._groups, self._size, self._dtype)
        self._embedding = weights.embedding
        self._native: FewRows | None = None
        if self._few == "int8":
            layers, head = int8_weights(weights, cache)
            in_c = few_rows.fits(self._size, weights.count)
            self._layers = [self._int8_layer(layer, in_c) for layer in layers]
            self._head = make_int8_linear(head.weight, head.bias, native=in_c)
            self._native = self._compiled(config.norm_eps) if in_c else None
        else:
            self._layers = [self._layer(join_layer(layer, self._size)) for layer in weights.layers]
            self._head = make_linear(weights.head.weight, weights.head.bias, self._few)
        self._norm = weights.norm.float()
        self._threads = ThreadChooser()
        self._rotary = weights.rotary
        self._table = torch.empty(0, 1, self._size // 2, dtype=torch.complex64)

    def _layer(self, layer: JoinedLayer) -> _Layer:
        def linear(part: LinearWeights) -> Linear:
            return make_linear(part.weight, part.bias, self._few)

        return _Layer(
            norm1=layer.norm1,
            qkv=linear(layer.qkv),
            out=linear(layer.out),
            norm2=layer.norm2,
            gated=make_gated(layer.gate, layer.up, self._few),
            down=linear(layer.down),
        )

    def _int8_layer(self, layer: Int8Layer, in_c: bool) -> _Layer:
        def linear(part: Int8Weights) -> Linear:
            return make_int8_linear(part.weight, part.bias, self._dtype, self._scratch, in_c)

        return _Layer(
            norm1=layer.norm1,
            qkv=linear(layer.qkv),
            out=linear(layer.out),
            norm2=layer.norm2,
            gated=GatedLinear(linear(layer.gated), None, None),
            down=linear(layer.down),
        )

    def _compiled(self, eps: float) -> FewRows:
        """The layers in C."""
        layers: list[tuple[_Layer, list[NativeLinear]]] = []
        for layer in self._layers:
            linears = (layer.qkv, layer.out, layer.gated.joined, layer.down)
            few = [each.few for each in linears if isinstance(each, SplitLinear)]
            layers.append((layer, [each for each in few if isinstance(each, NativeLinear)]))
        return FewRows(layers, (self._hidden, self._heads, self._groups, self._size), eps)

    @property
    def bytes(self) -> int:
        """Memory of all weights."""
        parts = [p for x in self._layers for p in (x.qkv, x.out, x.gated, x.down)]
        return sum(p.bytes for p in (*parts, self._head)) + int(self._embedding.nbytes)

    def new_cache(self) -> KVCache:
        return KVCache(len(self._layers), self._groups, self._size)

    def forward(self, cache: KVCache, ids: list[int], wanted: int) -> torch.Tensor:
        """Read tokens that follow those in the cache, which grows by them.

        :param wanted: how many of the last tokens need logits.
        :return: float32 logits (wanted, vocabulary); with none wanted, a placeholder.
        """
        if len(ids) > MAX_FEW_ROWS or self._native is not None:
            return self._forward(cache, ids, wanted)
        with self._threads.threads_for(len(ids)):
            return self._forward(cache, ids, wanted)

    def read(
        self, cache: KVCache, ids: Sequence[int], interrupted: Callable[[], bool]
    ) -> tuple[int, torch.Tensor]:
        """Read the first of ``ids``, as many as one pass takes, behind those in the cache.

        :param interrupted: called before each layer; true ends the pass. The next call that begins
            with the same tokens goes on where it ended.
        :return: how many tokens were read (0: interrupted), and the float32 logits (vocabulary,)
            behind the last of ``ids``, or a placeholder.
        """
        begun, cache.unfinished = cache.unfinished, None
        count = min(len(ids), ROWS_AT_ONCE)
        if begun is not None:
            shared = common_prefix_length(begun.ids, ids)
            begun = begun.first(shared) if shared > MAX_FEW_ROWS else None
            count = shared if begun else count
        part = list(ids[:count])
        if count <= MAX_FEW_ROWS:
            return count, self.forward(cache, part, 1)[0]
        rows = self._pass(cache, part, interrupted, begun)
        if rows is None:
            return 0, self._placeholder
        return count, self._logits(rows[-1:])[0] if count == len(ids) else self._placeholder

    def _forward(self, cache: KVCache, ids: list[int], wanted: int) -> torch.Tensor:
        cache.unfinished = None
        rows = self._pass(cache, ids)
        assert rows is not None
        return self._logits(rows[len(ids) - wanted :]) if wanted else self._placeholder

    def _pass(
        self,
        cache: KVCache,
        ids: list[int],
        interrupted: Callable[[], bool] | None = None,
        begun: UnfinishedPass | None = None,
    ) -> torch.Tensor | None:
        """The hidden states (tokens, hidden) of new tokens; ``None``: interrupted."""
        start = cache.length
        end = start + len(ids)
        if len(ids) <= MAX_FEW_ROWS and self._native is not None:
            return self._read_few(self._native, cache, ids, self._rotations(end)[start:end])
        if len(ids) <= MAX_FEW_ROWS:
            attend = partial(self._attention.few, start=start)
        else:
            mask = self._attention.causal_mask(len(ids), start)
            attend = partial(self._attention.many, mask=mask)
        rotations = self._rotations(end)[start:end]
        return self._layers_forward(cache, ids, rotations, attend, interrupted, begun)

    def _read_few(
        self,
        native: FewRows,
        cache: KVCache,
        ids: list[int],
        rotations: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        cache.reserve(cache.length + len(ids))
        rows = native.run(cache, self._embedded(ids), rotations, mask)
        cache.length += len(ids)
        return rows

    def _embedded(self, ids: list[int]) -> torch.Tensor:
        return functional.embedding(torch.tensor(ids), self._embedding).float()

    def _logits(self, rows: torch.Tensor) -> torch.Tensor:
        return self._head(self._normed(rows, self._norm)).float()

    def forward_batch(
        self, cache: KVCache, ids: list[int], depths: list[int], mask: torch.Tensor
    ) -> torch.Tensor:
        """Read one more token of each of several texts with a common beginning; the cache, which
        holds the tokens of all, grows by them.

        :param ids: the tokens, (texts,).
        :param depths: the position of each in its own text.
        :param mask: (texts, newest tokens of all): 0 for the tokens of a text, its newest included,
            minus infinity for those of others; every text sees all that stand before these.
        :return: float32 logits (texts, vocabulary).
        """
        rotations = self._rotations(max(depths) + 1)[depths]
        cache.unfinished = None
        if self._native is not None:
            return self._logits(self._read_few(self._native, cache, ids, rotations, mask))
        attend = partial(self._attention.branches, mask=mask)
        rows = self._layers_forward(cache, ids, rotations, attend)
        assert rows is not None
        return self._logits(rows)

    def _layers_forward(
        self,
        cache: KVCache,
        ids: list[int],
        rotations: torch.Tensor,
        attend: _Attend,
        interrupted: Callable[[], bool] | None = None,
        begun: UnfinishedPass | None = None,
    ) -> torch.Tensor | None:
        """The hidden states (tokens, hidden) of new tokens, by which the cache grows; ``None``:
        interrupted, and the cache has the unfinished pass."""
        count, start = len(ids), cache.length
        end = start + count
        cache.reserve(end)
        rows = self._embedded(ids) if begun is None else begun.rows
        inner = self._heads * self._size
        rotated = (self._heads + self._groups) * self._size
        for index in range(begun.layers if begun else 0, len(self._layers)):
            if interrupted is not None and interrupted():
                cache.unfinished = UnfinishedPass(ids, index, rows)
                return None
            layer = self._layers[index]
            found = layer.qkv(self._normed(rows, layer.norm1)).float()
            pairs = found[:, :rotated].view(count, -1, self._size // 2, 2)
            heads = torch.view_as_real(torch.view_as_complex(pairs) * rotations).flatten(2)
            queries, keys = heads[:, : self._heads], heads[:, self._heads :]
            values = found[:, rotated:].view(count, self._groups, self._size)
            all_keys, all_values = cache.keys[index][:, :, :end], cache.values[index][:, :end]
            all_keys[:, :, start:] = keys.permute(1, 2, 0)
            all_values[:, start:] = values.transpose(0, 1)
            rows += layer.out(attend(queries, all_keys, all_values).reshape(count, inner))
            rows += layer.down(layer.gated(self._normed(rows, layer.norm2)))
        cache.length = end
        return rows

    def _normed(self, rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Root mean square normalisation (Zhang & Sennrich 2019, arXiv 1910.07467), in fewer and
        cheaper steps than torch's."""
        norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        factor = torch.addcmul(self._eps_row, norm, norm, value=1 / self._hidden).rsqrt_()
        return (rows * factor).mul_(weight)

    def _rotations(self, length: int) -> torch.Tensor:
        """cos + i sin of every position and pair, (positions, 1, pairs)."""
        if len(self._table) < length:
            positions = torch.arange(-(-length // GROWTH) * GROWTH)[None]
            cos, sin = self._rotary(torch.empty(1), positions)
            half = self._size // 2
            self._table = torch.complex(cos[0, :, :half].float(), sin[0, :, :half].float())
            self._table = self._table.unsqueeze(1)
        return self._table
