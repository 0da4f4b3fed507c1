"""A merged model as one GGUF file, and an adapter alone as another, for llama.cpp and Ollama."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.export.gguf_tokenizer import write_tokenizer
from git_copilot.assistant.export.merged import load_merged
from git_copilot.index.core.errors import CopilotError, ModelError

# Architectures of transformers that are written here, and whether llama.cpp wants the rows of
# queries and keys in the order of its own rotary embedding.
ARCHITECTURES = {"llama": True, "qwen2": False}
TYPES = ("f16", "bf16", "f32", "q8_0")
# How peft calls the two factors of a layer.
PEFT_PREFIX, DOWN, UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"


def export_gguf(base: Path, adapter: Path | None, target: Path, kind: str, name: str) -> None:
    """Write the merged model.

    :param kind: the type of its matrices, one of :data:`TYPES`; vectors are in float32.
    :param name: of the model, in the file.
    :raises CopilotError: the architecture or the tokenizer is not known here.
    :raises OSError: it cannot be written.
    """
    import gguf

    model = load_merged(base, adapter)
    config = model.config
    _require_known(config.model_type)
    writer = gguf.GGUFWriter(target, config.model_type)
    writer.add_name(name)
    writer.add_file_type(_file_type(kind))
    _write_shape(writer, config)
    write_tokenizer(writer, base, config.vocab_size)
    state = model.state_dict()
    if config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    for name_here, key, rows in _named(state, config):
        data = state[name_here].float()
        data = data if rows is None else rows(data)
        _add(writer, key, data.numpy(), kind if data.ndim > 1 else "f32")
    _finish(writer)


def export_gguf_adapter(base: Path, adapter: Path, target: Path, name: str) -> None:
    """Write the low-rank weights alone, in float16; llama.cpp adds them to the base model's.

    :param base: the folder of the base model, for its shape.
    :raises CopilotError: the architecture is not known here.
    :raises ModelError: the adapter has layers that the base model lacks.
    :raises OSError: it cannot be written.
    """
    import gguf
    from safetensors.torch import load_file
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base)
    _require_known(config.model_type)
    weights = load_file(adapter / adapter_store.WEIGHTS)
    writer = gguf.GGUFWriter(target, config.model_type)
    writer.add_type("adapter")
    writer.add_name(name)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", _alpha(adapter))
    shapes = _shapes(config)
    stems = [key.removesuffix(DOWN) for key in weights if key.endswith(DOWN)]
    layers = {f"{stem.removeprefix(PEFT_PREFIX)}.weight": stem for stem in stems}
    for layer, key, rows in _named(layers, config):
        down = weights[f"{layers[layer]}{DOWN}"].float()
        up = weights[f"{layers[layer]}{UP}"].float()
        if (len(up), down.shape[1]) != shapes.get(layer):
            raise ModelError(
                f"the adapter {adapter.name} does not fit this base model ({layer})",
                "use the model that it was trained for",
            )
        if rows is not None:  # rows of the product are rows of its second factor
            up = rows(up)
        _add(writer, f"{key}.lora_a", down.numpy(), "f16")
        _add(writer, f"{key}.lora_b", up.numpy(), "f16")
    _finish(writer)


# What only a merged model can hold, by the keys of peft's configuration.
_ONLY_MERGED = {
    "alpha_pattern": "scales of single layers",
    "use_dora": "magnitudes (DoRA)",
    "bias": "biases",
    "modules_to_save": "whole layers",
    "fan_in_fan_out": "transposed layers",
}


def _alpha(adapter: Path) -> float:
    """What llama.cpp divides by the rank to scale the product.

    :raises CopilotError: layers have scales of their own, which a file has no place for.
    """
    facts = json.loads((adapter / adapter_store.CONFIG).read_text("utf-8"))
    for key, what in _ONLY_MERGED.items():
        if facts.get(key) not in (None, False, "none", {}, []):
            raise CopilotError(
                f"the adapter {adapter.name} has {what}, which a LoRA file has no place for",
                "export it merged: `--to gguf`",
            )
    alpha = float(facts["lora_alpha"])
    return alpha * math.sqrt(facts["r"]) if facts.get("use_rslora") else alpha


def _shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of a model's weights, by name."""
    import torch
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    with torch.device("meta"):
        model = loader.from_config(config)
    return {name: tuple(weight.shape) for name, weight in model.named_parameters()}


def _require_known(architecture: str) -> None:
    if architecture not in ARCHITECTURES:
        raise CopilotError(
            f"models of the architecture {architecture} are not written as GGUF here",
            "export with `--to transformers` and convert that with llama.cpp's"
            " convert_hf_to_gguf.py",
        )


def _write_shape(writer: Any, config: Any) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise CopilotError(
            f"scaled rotary embeddings ({rope['rope_type']}) are not written as GGUF here",
            "export with `--to transformers` and convert that with llama.cpp's"
            " convert_hf_to_gguf.py",
        )
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _file_type(kind: str) -> int:
    from gguf import LlamaFileType

    names = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
    return int(LlamaFileType[names[kind]])


Rows = Callable[[Any], Any]


def _named(names: Iterable[str], config: Any) -> Iterator[tuple[str, str, Rows | None]]:
    """Each name of transformers, llama.cpp's name, and how the rows are put into its order.

    :raises ModelError: one has no name there.
    """
    import gguf

    architecture = {value: key for key, value in gguf.MODEL_ARCH_NAMES.items()}[config.model_type]
    known = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name in names:
        found = known.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ModelError(
                f"the layer {name} has no place in a GGUF file", "export with another --to"
            )
        yield name, str(found), _row_order(name, config)


def _row_order(name: str, config: Any) -> Rows | None:
    """For queries and keys of Llama: the halves of a head, which transformers keeps apart, are
    interleaved."""
    if not ARCHITECTURES[config.model_type]:
        return None
    if ".q_proj." in name:
        heads = config.num_attention_heads
    elif ".k_proj." in name:
        heads = config.num_key_value_heads
    else:
        return None

    def interleaved(rows: Any) -> Any:
        half = rows.shape[0] // heads // 2
        return rows.reshape(heads, 2, half, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)

    return interleaved


def _add(writer: Any, name: str, data: Any, kind: str) -> None:
    import gguf

    kinds = gguf.GGMLQuantizationType
    chosen = kinds[kind.upper()]
    if chosen is kinds.Q8_0 and data.shape[-1] % 32:
        chosen = kinds.F16  # its rows do not fill blocks
    writer.add_tensor(name, gguf.quants.quantize(data, chosen), raw_dtype=chosen)


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
