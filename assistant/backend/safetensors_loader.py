"""Reads a common kind of model from its files alone, without transformers.

Loading through transformers and its imports takes 5 s of processor time, for modules that decoding
does not need. Anything unusual about a folder (a scaled rotary embedding, quantised weights, a
damaged file) is left to transformers, which knows all kinds and names what is wrong. tokenizer.py
does the same for tokenizers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from git_copilot.assistant.backend.allocator import keep_freed_memory

# Settings of a model that change what it computes, with the only value that is read here.
USUAL: Mapping[str, object] = {
    "attention_bias": False,
    "auto_map": None,
    "mlp_bias": False,
    "partial_rotary_factor": 1.0,
    "quantization_config": None,
    "rope_scaling": None,
    "use_sliding_window": False,
}
NEEDED = (
    "hidden_size", "intermediate_size", "model_type", "num_attention_heads", "num_hidden_layers",
    "num_key_value_heads", "rms_norm_eps", "vocab_size",
)  # fmt: skip
# Settings of an adapter that do not matter once it is trained; all others but its rank and its
# scale must have one of the values in UNUSED.
TRAINING = frozenset(
    {
        "auto_mapping", "base_model_name_or_path", "inference_mode", "lora_dropout", "megatron_core",
        "peft_version", "qalora_group_size", "revision", "target_modules", "task_type",
    }
)  # fmt: skip
# The file of a model's weights.
WEIGHTS = "model.safetensors"
PREFIX = "base_model.model."
EMBEDDING = "model.embed_tokens.weight"
UNUSED: tuple[object, ...] = (None, False, "none", {}, [])
# Whether queries, keys and values have biases.
BIASED = {"llama": False, "qwen2": True}


@dataclass(frozen=True, slots=True)
class FileConfig:
    """Values of a ``config.json``, under its own names."""

    model_type: str
    hidden_act: str
    layer_types: frozenset[str]
    hidden_size: int
    intermediate_size: int
    vocab_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool


def read_tensors(
    folder: Path, dtype: torch.dtype | None = None, adapter: Path | None = None
) -> tuple[FileConfig, dict[str, torch.Tensor]] | None:
    """Read a model's configuration and its weights, by their names in the file.

    From here on this process keeps the memory that it frees: see allocator.py.

    :param dtype: of the weights; by default that of the file, and float32 where an adapter is merged
        in, so that only the form that kernels read is rounded.
    :param adapter: is merged into the weights.
    :return: ``None``: the model is for transformers to load, or the adapter for peft.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    keep_freed_memory()
    try:
        config = _read_config(json.loads((folder / "config.json").read_text("utf-8")))
        if config is None:
            return None
        path = folder / WEIGHTS
        weights = load_file(path)
        deltas = _read_deltas(adapter) if adapter else {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, SafetensorError):
        return None
    shapes = {name: tuple(each.shape) for name, each in weights.items()}
    if deltas is None or shapes != _expected_shapes(config):
        return None
    if dtype is not None:
        weights = {name: each.to(dtype) for name, each in weights.items()}
    for name, delta in deltas.items():
        if name not in weights or weights[name].shape != delta.shape:
            return None
        weights[name] = weights[name].to(dtype or torch.float32, copy=True).add_(delta)
    if config.tie_word_embeddings:
        weights["lm_head.weight"] = weights[EMBEDDING]
    if dtype is None and EMBEDDING not in deltas:
        weights[EMBEDDING] = _mapped(path, EMBEDDING)
    return config, weights


def _mapped(path: Path, name: str) -> torch.Tensor:
    """A tensor in a mapping of its own, of which only the rows that are read come into memory. The
    mapping of all weights is released when these have been copied into the form of the kernels."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        found: torch.Tensor = file.get_tensor(name)
    return found


def _read_config(facts: dict[str, Any]) -> FileConfig | None:
    """A model's configuration, where nothing about it is unusual."""
    if facts["model_type"] not in BIASED or not all(facts.get(name) for name in NEEDED):
        return None
    if any(facts.get(name, usual) != usual for name, usual in USUAL.items()):
        return None
    rope = facts.get("rope_parameters") or {"rope_theta": facts.get("rope_theta")}
    if set(rope) - {"rope_type"} != {"rope_theta"} or rope.get("rope_type", "default") != "default":
        return None
    head_dim = facts.get("head_dim") or facts["hidden_size"] // facts["num_attention_heads"]
    return FileConfig(
        **{name: facts[name] for name in NEEDED},
        hidden_act=facts.get("hidden_act", "silu"),
        layer_types=frozenset(facts.get("layer_types") or ["full_attention"]),
        head_dim=int(head_dim),
        rope_theta=float(rope["rope_theta"]),
        tie_word_embeddings=bool(facts.get("tie_word_embeddings", False)),
    )


def _expected_shapes(config: FileConfig) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights of a model with this configuration."""
    hidden, inner, words = config.hidden_size, config.intermediate_size, config.vocab_size
    queries = config.num_attention_heads * config.head_dim
    shared = config.num_key_value_heads * config.head_dim
    found: dict[str, tuple[int, ...]] = {
        EMBEDDING: (words, hidden),
        "model.norm.weight": (hidden,),
    }
    if not config.tie_word_embeddings:
        found["lm_head.weight"] = (words, hidden)
    for i in range(config.num_hidden_layers):
        layer = f"model.layers.{i}"
        found[f"{layer}.input_layernorm.weight"] = (hidden,)
        found[f"{layer}.post_attention_layernorm.weight"] = (hidden,)
        for name, size in (("q", queries), ("k", shared), ("v", shared)):
            found[f"{layer}.self_attn.{name}_proj.weight"] = (size, hidden)
            if BIASED[config.model_type]:
                found[f"{layer}.self_attn.{name}_proj.bias"] = (size,)
        found[f"{layer}.self_attn.o_proj.weight"] = (hidden, queries)
        found[f"{layer}.mlp.gate_proj.weight"] = (inner, hidden)
        found[f"{layer}.mlp.up_proj.weight"] = (inner, hidden)
        found[f"{layer}.mlp.down_proj.weight"] = (hidden, inner)
    return found


def _read_deltas(folder: Path) -> dict[str, torch.Tensor] | None:
    """The products that a LoRA adapter adds to weights, by the weights' names (Hu et al. 2021,
    arXiv 2106.09685), where nothing about it is unusual."""
    from safetensors.torch import load_file

    facts = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    kind, rank, alpha = (facts.pop(name) for name in ("peft_type", "r", "lora_alpha"))
    first = facts.pop("init_lora_weights", True)
    others = (value for name, value in facts.items() if name not in TRAINING)
    if kind != "LORA" or not isinstance(first, bool) or not all(x in UNUSED for x in others):
        return None
    tensors = load_file(folder / "adapter_model.safetensors")
    found = {}
    while tensors:
        name = next(iter(tensors))
        layer = name.removeprefix(PREFIX).rpartition(".lora_")[0]
        down, up = (tensors.pop(f"{PREFIX}{layer}.lora_{x}.weight", None) for x in "AB")
        if down is None or up is None or len(down) != rank:
            return None
        found[f"{layer}.weight"] = up.float() @ down.float() * (alpha / rank)
    return found
