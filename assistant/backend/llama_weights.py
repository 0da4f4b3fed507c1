"""Typed weights and configuration of a Llama-like model, from files or from transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from git_copilot.assistant.backend.safetensors_loader import WEIGHTS, FileConfig, read_tensors

# Architectures whose forward pass is that of llama.py; all others go through transformers.
FAMILIES = frozenset({"llama", "qwen2"})
# Kinds of rotary embedding whose table does not depend on the length of the text.
ROPES = frozenset({"default", "linear", "llama3", "yarn"})
# A tensor of the wanted dtype and positions (texts, tokens) to cosines and sines, each
# (texts, tokens, head size).
Rotary = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The values of a model's configuration that its forward pass depends on."""

    model_type: str
    activation: str
    layer_types: frozenset[str]
    rope_type: str
    rotary_part: float
    heads: int
    key_value_heads: int
    head_size: int
    hidden_size: int
    norm_eps: float

    @classmethod
    def from_transformers(cls, config: Any) -> LlamaConfig:
        """:param config: of a model of one of :data:`FAMILIES`."""
        rope = getattr(config, "rope_parameters", None) or {}
        head_size = getattr(config, "head_dim", None)
        return cls(
            model_type=config.model_type,
            activation=config.hidden_act,
            layer_types=frozenset(getattr(config, "layer_types", None) or ["full_attention"]),
            rope_type=rope.get("rope_type", "default"),
            rotary_part=float(rope.get("partial_rotary_factor", 1.0)),
            heads=config.num_attention_heads,
            key_value_heads=config.num_key_value_heads,
            head_size=int(head_size or config.hidden_size // config.num_attention_heads),
            hidden_size=config.hidden_size,
            norm_eps=config.rms_norm_eps,
        )

    @classmethod
    def from_file(cls, config: FileConfig) -> LlamaConfig:
        """:param config: has a default rotary embedding, or it would not have been read."""
        return cls(
            model_type=config.model_type,
            activation=config.hidden_act,
            layer_types=config.layer_types,
            rope_type="default",
            rotary_part=1.0,
            heads=config.num_attention_heads,
            key_value_heads=config.num_key_value_heads,
            head_size=config.head_dim,
            hidden_size=config.hidden_size,
            norm_eps=config.rms_norm_eps,
        )

    @property
    def supported(self) -> bool:
        """Whether llama.py computes what a model with this configuration computes."""
        return (
            self.model_type in FAMILIES
            and self.activation == "silu"
            and self.rope_type in ROPES
            and self.rotary_part == 1.0
            and self.layer_types == {"full_attention"}
            and self.head_size % 2 == 0
        )


@dataclass(frozen=True, slots=True)
class LinearWeights:
    """A linear layer: ``weight`` (outputs, inputs), ``bias`` (outputs,)."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None

    @classmethod
    def from_transformers(cls, layer: Any) -> LinearWeights:
        return cls(layer.weight.detach(), None if layer.bias is None else layer.bias.detach())

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor], name: str) -> LinearWeights:
        return cls(tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer; ``attention_norm`` and ``mlp_norm`` (hidden,) are applied to what it reads."""

    attention_norm: torch.Tensor
    query: LinearWeights
    key: LinearWeights
    value: LinearWeights
    output: LinearWeights
    mlp_norm: torch.Tensor
    gate: LinearWeights
    up: LinearWeights
    down: LinearWeights

    @property
    def linears(self) -> tuple[LinearWeights, ...]:
        """All linear layers."""
        attention = (self.query, self.key, self.value, self.output)
        return (*attention, self.gate, self.up, self.down)


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    """A Llama-like model on the CPU, as :class:`~git_copilot.assistant.backend.llama.LlamaDecoder`
    takes it.

    ``embedding`` is (vocabulary, hidden), ``norm`` (hidden,); ``head`` gives the logits. ``source`` is
    the file from which all of them were read as they stand.
    """

    config: LlamaConfig
    embedding: torch.Tensor
    layers: tuple[LayerWeights, ...]
    norm: torch.Tensor
    head: LinearWeights
    rotary: Rotary
    source: Path | None = None

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.dtype

    @property
    def count(self) -> int:
        """The number of weights of all layers, without embedding and head."""
        return sum(each.weight.numel() for layer in self.layers for each in layer.linears)

    @property
    def layer_shape(self) -> tuple[int, int]:
        """(outputs, inputs) of the layers that take most of the time."""
        outputs, inputs = self.layers[0].gate.weight.shape
        return outputs, inputs

    @classmethod
    def from_files(
        cls, folder: Path, dtype: torch.dtype | None = None, adapter: Path | None = None
    ) -> LlamaWeights | None:
        """Read a model's folder, an adapter merged in.

        :param dtype: see :func:`~git_copilot.assistant.backend.safetensors_loader.read_tensors`.

        :return: ``None``: the model is for transformers to load, see safetensors_loader.py.
        """
        read = read_tensors(folder, dtype, adapter)
        if read is None:
            return None
        facts, tensors = read
        config = LlamaConfig.from_file(facts)
        if not config.supported:
            return None
        return cls(
            config=config,
            embedding=tensors["model.embed_tokens.weight"],
            layers=tuple(
                _layer_from_tensors(tensors, f"model.layers.{i}")
                for i in range(facts.num_hidden_layers)
            ),
            norm=tensors["model.norm.weight"],
            head=LinearWeights.from_tensors(tensors, "lm_head"),
            rotary=RotaryEmbedding(facts.rope_theta, config.head_size),
            source=folder / WEIGHTS if dtype is None and adapter is None else None,
        )

    @classmethod
    def from_transformers(cls, model: Any) -> LlamaWeights:
        """Share the weights of a transformers model.

        :param model: one that :func:`supports` accepts.
        """
        body = model.model
        return cls(
            config=LlamaConfig.from_transformers(model.config),
            embedding=body.embed_tokens.weight.detach(),
            layers=tuple(_layer_from_transformers(layer) for layer in body.layers),
            norm=body.norm.weight.detach(),
            head=LinearWeights.from_transformers(model.lm_head),
            rotary=body.rotary_emb,
        )


class RotaryEmbedding:
    """Cosines and sines of positions, as transformers' rotary embedding gives them (Su et al. 2021,
    arXiv 2104.09864)."""

    def __init__(self, base: float, size: int) -> None:
        """:param size: of a head."""
        self._frequencies = 1.0 / (base ** (torch.arange(0, size, 2, dtype=torch.float32) / size))

    def __call__(
        self, like: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """:param like: gives the dtype.
        :param positions: (texts, tokens).
        :return: each (texts, tokens, size).
        """
        angles = positions[..., None].float() * self._frequencies
        both = torch.cat((angles, angles), dim=-1)
        return both.cos().to(like.dtype), both.sin().to(like.dtype)


def supports(model: Any) -> bool:
    """Whether llama.py computes what this transformers model computes."""
    return (
        model.config.model_type in FAMILIES
        and model.device.type == "cpu"
        and LlamaConfig.from_transformers(model.config).supported
    )


def _layer_from_transformers(layer: Any) -> LayerWeights:
    attention, mlp, linear = layer.self_attn, layer.mlp, LinearWeights.from_transformers
    return LayerWeights(
        attention_norm=layer.input_layernorm.weight.detach(),
        query=linear(attention.q_proj),
        key=linear(attention.k_proj),
        value=linear(attention.v_proj),
        output=linear(attention.o_proj),
        mlp_norm=layer.post_attention_layernorm.weight.detach(),
        gate=linear(mlp.gate_proj),
        up=linear(mlp.up_proj),
        down=linear(mlp.down_proj),
    )


def _layer_from_tensors(tensors: Mapping[str, torch.Tensor], name: str) -> LayerWeights:
    def linear(part: str) -> LinearWeights:
        return LinearWeights.from_tensors(tensors, f"{name}.{part}_proj")

    return LayerWeights(
        attention_norm=tensors[f"{name}.input_layernorm.weight"],
        query=linear("self_attn.q"),
        key=linear("self_attn.k"),
        value=linear("self_attn.v"),
        output=linear("self_attn.o"),
        mlp_norm=tensors[f"{name}.post_attention_layernorm.weight"],
        gate=linear("mlp.gate"),
        up=linear("mlp.up"),
        down=linear("mlp.down"),
    )
