"""A forward pass of Llama-like models made for one user on a CPU: few rows, a static cache.

transformers' own costs 50 ms a token for 135 M parameters, of which matrix products need 7: the
rest is the cache that is copied to grow, attention kernels made for many queries, and Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from git_copilot.assistant.backend.kv_cache import GROWTH, KVCache
from git_copilot.assistant.backend.linear import (
    NARROW,
    GatedLinear,
    Linear,
    make_gated,
    make_linear,
)

# Architectures whose forward is the one below; all others go through transformers.
FAMILIES = frozenset({"llama", "qwen2"})
# Kinds of rotary embedding whose table does not depend on the length of the text.
ROPES = frozenset({"default", "linear", "llama3", "yarn"})
# Beyond this the weights are not kept in bf16 beside int8.
MAX_WIDE_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class _Layer:
    norm1: torch.Tensor
    qkv: Linear
    out: Linear
    norm2: torch.Tensor
    gated: GatedLinear
    down: Linear


# Queries (tokens, heads, size), all keys and all values to what is seen (tokens, ..., size).
_Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class LlamaDecoder:
    """Weights of a Llama-like model, arranged for decoding. Not for several threads at once."""

    croppable = True

    def __init__(self, model: Any, precision: str) -> None:
        """Take the weights of a transformers model over.

        :param model: one that :func:`supports` accepts, on the CPU, or what safetensors_loader.py reads of one.
        :param precision: ``"int8"``, ``"bf16"`` or ``"fp32"``.
        """
        config, body = model.config, model.model
        self._heads: int = config.num_attention_heads
        self._groups: int = config.num_key_value_heads
        self._size = _head_size(config)
        self._eps: float = config.rms_norm_eps
        self._hidden: int = config.hidden_size
        self._eps_row = torch.full((1, 1), self._eps)
        self._none = torch.zeros(1)
        dtype = torch.float32 if precision == "fp32" else torch.bfloat16
        weights = sum(part.weight.numel() for x in body.layers for part in _linears(x))
        self._precision = precision
        self._wide = weights * 2 <= MAX_WIDE_BYTES
        self._dtype = dtype
        self._embedding = body.embed_tokens.weight.detach().to(dtype)
        self._layers = [self._arrange(layer) for layer in body.layers]
        self._norm = body.norm.weight.detach().float()
        self._head = make_linear(*_taken(model.lm_head), precision, wide=False)
        self._rotary = body.rotary_emb
        self._table = torch.empty(0, 1, self._size // 2, dtype=torch.complex64)

    def _linear(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        return make_linear(weight, bias, self._precision, wide=self._wide)

    def _arrange(self, layer: Any) -> _Layer:
        """Join what reads the same rows; put the two halves that a rotation turns together side
        by side, so that it is one product of complex numbers."""
        attention, mlp = layer.self_attn, layer.mlp
        halves = torch.arange(self._size).view(2, -1).t().flatten()

        def paired(tensor: torch.Tensor) -> torch.Tensor:
            heads = tensor.view(-1, self._size, *tensor.shape[1:])
            return heads[:, halves].flatten(0, 1)

        turned, plain = (attention.q_proj, attention.k_proj), attention.v_proj
        biases = None
        if plain.bias is not None:
            biases = torch.cat([*(paired(p.bias.detach()) for p in turned), plain.bias.detach()])
        return _Layer(
            norm1=layer.input_layernorm.weight.detach().float(),
            qkv=self._linear(
                torch.cat([*(paired(p.weight.detach()) for p in turned), plain.weight.detach()]),
                biases,
            ),
            out=self._linear(*_taken(attention.o_proj)),
            norm2=layer.post_attention_layernorm.weight.detach().float(),
            gated=make_gated(
                _taken(mlp.gate_proj), _taken(mlp.up_proj), self._precision, wide=self._wide
            ),
            down=self._linear(*_taken(mlp.down_proj)),
        )

    @property
    def bytes(self) -> int:
        """Memory of all weights."""
        parts = [p for x in self._layers for p in (x.qkv, x.out, x.gated, x.down)]
        return sum(p.bytes for p in (*parts, self._head)) + int(self._embedding.nbytes)

    def new_cache(self) -> KVCache:
        return KVCache(len(self._layers), self._groups, self._size)

    def run(self, cache: KVCache, ids: list[int], wanted: int) -> torch.Tensor:
        """Read tokens behind those in the cache, which grows by them.

        :return: the float32 logits (wanted, vocabulary) after the last ``wanted`` of them; with
            none wanted, nothing of use.
        """
        start = cache.length
        end = start + len(ids)
        turn = self._rotations(end)[start:end]
        if len(ids) > NARROW:
            mask = torch.full((len(ids), len(ids)), -torch.inf, dtype=self._dtype).triu_(1)
            attend = partial(self._attend_masked, mask=mask, dtype=self._dtype)
            rows = self._through(cache, ids, turn, attend)
        else:
            rows = self._through(cache, ids, turn, partial(self._attend, start=start))
        if not wanted:
            return self._none
        return self._head(self._normed(rows[len(ids) - wanted :], self._norm)).float()

    def run_beside(
        self, cache: KVCache, ids: list[int], depths: list[int], mask: torch.Tensor
    ) -> torch.Tensor:
        """Read one more token of each of several texts that have their beginning in common; the
        cache, which holds the tokens of all, grows by them.

        :param depths: how many tokens stand before each in its own text.
        :param mask: (texts, newest tokens of all), 0 for those that a text sees, the one that is
            read among them, minus infinity for the others'; all see what stands before these.
        :return: the float32 logits (texts, vocabulary) after each.
        """
        turn = self._rotations(max(depths) + 1)[depths]
        attend = partial(self._attend_masked, mask=mask, dtype=torch.float32)
        rows = self._through(cache, ids, turn, attend)
        return self._head(self._normed(rows, self._norm)).float()

    def _through(
        self, cache: KVCache, ids: list[int], turn: torch.Tensor, attend: _Attend
    ) -> torch.Tensor:
        """The hidden states (tokens, hidden) of new tokens, which the cache grows by."""
        count, start = len(ids), cache.length
        end = start + count
        cache.reserve(end)
        rows = functional.embedding(torch.tensor(ids), self._embedding).float()
        inner = self._heads * self._size
        turning = (self._heads + self._groups) * self._size
        for index, layer in enumerate(self._layers):
            found = layer.qkv(self._normed(rows, layer.norm1)).float()
            pairs = found[:, :turning].view(count, -1, self._size // 2, 2)
            turned = torch.view_as_real(torch.view_as_complex(pairs) * turn).flatten(2)
            queries, keys = turned[:, : self._heads], turned[:, self._heads :]
            values = found[:, turning:].view(count, self._groups, self._size)
            known, held = cache.keys[index][:, :, :end], cache.values[index][:, :end]
            known[:, :, start:] = keys.permute(1, 2, 0)
            held[:, start:] = values.transpose(0, 1)
            rows += layer.out(attend(queries, known, held).reshape(count, inner))
            rows += layer.down(layer.gated(self._normed(rows, layer.norm2)))
        cache.length = end
        return rows

    def _normed(self, rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Root mean square normalisation, in fewer and cheaper steps than torch's."""
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

    def _attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int
    ) -> torch.Tensor:
        """Attention of few queries (n, heads, size), written out: torch's kernel takes four times
        as long. Heads that share keys become rows of one product.

        Each query has products of its own, since those of several at once round otherwise: a guess
        would not be judged exactly as its tokens one by one.
        """
        shape = (self._groups, self._heads // self._groups, self._size)
        scale = 1 / math.sqrt(self._size)
        found = []
        for index, query in enumerate(queries.unbind()):
            end = start + index + 1
            scores = torch.baddbmm(
                self._none, query.reshape(shape), keys[:, :, :end], beta=0, alpha=scale
            )
            found.append(torch.bmm(torch.softmax(scores, dim=-1), values[:, :end]))
        return found[0] if len(found) == 1 else torch.stack(found)

    def _attend_masked(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        """The same for many queries, or for queries of several texts, at once and in ``dtype``;
        torch's kernel takes three times as long.

        :param mask: what is added to the scores of the newest keys, (queries, newest keys); all
            queries see those before.
        """
        count, each = len(queries), self._heads // self._groups
        rows = (queries / math.sqrt(self._size)).to(dtype)
        rows = rows.view(count, self._groups, each, self._size).permute(1, 2, 0, 3)
        scores = torch.bmm(rows.reshape(self._groups, each * count, self._size), keys.to(dtype))
        scores.view(self._heads, count, -1)[:, :, -mask.shape[1] :].add_(mask)
        found = torch.bmm(torch.softmax(scores, dim=-1), values.to(dtype))
        return found.view(self._groups, each, count, self._size).permute(2, 0, 1, 3)


def supports(model: Any) -> bool:
    """Whether :class:`LlamaDecoder` computes what this transformers model computes."""
    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    layer_types = getattr(config, "layer_types", None) or ["full_attention"]
    return (
        config.model_type in FAMILIES
        and config.hidden_act == "silu"
        and rope.get("rope_type", "default") in ROPES
        and float(rope.get("partial_rotary_factor", 1.0)) == 1.0
        and set(layer_types) == {"full_attention"}
        and _head_size(config) % 2 == 0
        and model.device.type == "cpu"
    )


def _head_size(config: Any) -> int:
    given = getattr(config, "head_dim", None)
    return int(given or config.hidden_size // config.num_attention_heads)


def _linears(layer: Any) -> list[Any]:
    """The linear layers of one layer of transformers."""
    attention, mlp = layer.self_attn, layer.mlp
    own = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
    return [*own, mlp.gate_proj, mlp.up_proj, mlp.down_proj]


def _taken(layer: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of a layer of transformers."""
    return layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
