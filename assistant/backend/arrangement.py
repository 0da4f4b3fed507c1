"""Weights of a Llama-like model as its forward pass multiplies them: linear layers that read the same
rows joined, and in int8 kept in a file beside the model, which the next process maps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from git_copilot.assistant.backend.int8_linear import Quantized
from git_copilot.assistant.backend.llama_weights import LayerWeights, LinearWeights, LlamaWeights

# Beside the file of a model's weights.
NAME = "int8.safetensors"
# Raised when the arrangement changes.
_LAYOUT = "1"


@dataclass(frozen=True, slots=True)
class JoinedLayer:
    """One layer: norms float32, and the linear layers of queries, keys and values; of the output; of
    gate; of up; of down."""

    norm1: torch.Tensor
    qkv: LinearWeights
    out: LinearWeights
    norm2: torch.Tensor
    gate: LinearWeights
    up: LinearWeights
    down: LinearWeights


@dataclass(frozen=True, slots=True)
class Int8Weights:
    """A linear layer in int8; ``bias`` (outputs,)."""

    weight: Quantized
    bias: torch.Tensor | None

    @classmethod
    def of(cls, linear: LinearWeights) -> Int8Weights:
        return cls(Quantized.of(linear.weight), linear.bias)


@dataclass(frozen=True, slots=True)
class Int8Layer:
    """The same in int8, gate and up in one."""

    norm1: torch.Tensor
    qkv: Int8Weights
    out: Int8Weights
    norm2: torch.Tensor
    gated: Int8Weights
    down: Int8Weights


def join_layer(layer: LayerWeights, size: int) -> JoinedLayer:
    """Join what reads the same rows, and put the two halves of a head of ``size`` numbers that a
    rotation combines side by side, so that it is one product of complex numbers."""
    halves = torch.arange(size).view(2, -1).t().flatten()

    def paired(tensor: torch.Tensor) -> torch.Tensor:
        heads = tensor.view(-1, size, *tensor.shape[1:])
        return heads[:, halves].flatten(0, 1)

    query, key, value = layer.query, layer.key, layer.value
    bias = None
    if query.bias is not None and key.bias is not None and value.bias is not None:
        bias = torch.cat([paired(query.bias), paired(key.bias), value.bias])
    weight = torch.cat([paired(query.weight), paired(key.weight), value.weight])
    return JoinedLayer(
        norm1=layer.attention_norm.float(),
        qkv=LinearWeights(weight, bias),
        out=layer.output,
        norm2=layer.mlp_norm.float(),
        gate=layer.gate,
        up=layer.up,
        down=layer.down,
    )


def join_gate(gate: LinearWeights, up: LinearWeights) -> LinearWeights:
    """Both layers in one."""
    bias = None
    if gate.bias is not None and up.bias is not None:
        bias = torch.cat([gate.bias, up.bias])
    return LinearWeights(torch.cat([gate.weight, up.weight]), bias)


def int8_weights(
    weights: LlamaWeights, cache: Path | None = None
) -> tuple[list[Int8Layer], Int8Weights]:
    """The layers and the head in int8: mapped from the file beside the model where it is there, else
    computed, and written there for the next time.

    :param cache: a folder that is git-copilot's own; beside a model elsewhere nothing is written.
    """
    source = weights.source
    if source is None or cache is None or not source.resolve().is_relative_to(cache.resolve()):
        return _computed(weights)
    try:
        return _mapped(source, weights)
    except (OSError, LookupError, ValueError, RuntimeError):  # absent, of another model, damaged
        pass
    found = _computed(weights)
    with suppress(OSError, RuntimeError):  # read-only, or the disk is full
        _write(source, *found)
        return _mapped(source, weights)
    return found


def _computed(weights: LlamaWeights) -> tuple[list[Int8Layer], Int8Weights]:
    layers = []
    for layer in weights.layers:
        joined = join_layer(layer, weights.config.head_size)
        layers.append(
            Int8Layer(
                norm1=joined.norm1,
                qkv=Int8Weights.of(joined.qkv),
                out=Int8Weights.of(joined.out),
                norm2=joined.norm2,
                gated=Int8Weights.of(join_gate(joined.gate, joined.up)),
                down=Int8Weights.of(joined.down),
            )
        )
    return layers, Int8Weights.of(weights.head)


def _facts(source: Path) -> dict[str, str]:
    """What the file was made from."""
    found = source.stat()
    return {"layout": _LAYOUT, "source": f"{found.st_size} {found.st_mtime_ns}"}


def _named(layers: list[Int8Layer], head: Int8Weights) -> Iterator[tuple[str, torch.Tensor]]:
    parts: list[tuple[str, Int8Weights]] = [("head", head)]
    for i, layer in enumerate(layers):
        for field in fields(layer):
            value = getattr(layer, field.name)
            if isinstance(value, Int8Weights):
                parts.append((f"{i}.{field.name}", value))
            else:
                yield f"{i}.{field.name}", value
    for name, part in parts:
        yield f"{name}.values", part.weight.values
        yield f"{name}.scale", part.weight.scale
        if part.bias is not None:
            yield f"{name}.bias", part.bias


def _write(source: Path, layers: list[Int8Layer], head: Int8Weights) -> None:
    from safetensors.torch import save_file

    beside = source.with_name(f".{NAME}.{os.getpid()}")
    try:
        save_file({k: v.contiguous() for k, v in _named(layers, head)}, beside, _facts(source))
        beside.replace(source.with_name(NAME))
    finally:
        beside.unlink(missing_ok=True)


def _mapped(source: Path, weights: LlamaWeights) -> tuple[list[Int8Layer], Int8Weights]:
    """:raises ValueError: the file was made from another model, or is damaged.
    :raises OSError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    path = source.with_name(NAME)
    try:
        with safe_open(path, "pt") as file:
            if file.metadata() != _facts(source):
                raise ValueError("made from other weights")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as exc:
        raise ValueError(str(exc)) from exc

    def linear(name: str, *parts: LinearWeights) -> Int8Weights:
        values = tensors[f"{name}.values"]
        if values.shape != (sum(len(p.weight) for p in parts), parts[0].weight.shape[1]):
            raise ValueError(f"{name} has another shape")
        return Int8Weights(Quantized(values, tensors[f"{name}.scale"]), tensors.get(f"{name}.bias"))

    layers = [
        Int8Layer(
            norm1=tensors[f"{i}.norm1"],
            qkv=linear(f"{i}.qkv", layer.query, layer.key, layer.value),
            out=linear(f"{i}.out", layer.output),
            norm2=tensors[f"{i}.norm2"],
            gated=linear(f"{i}.gated", layer.gate, layer.up),
            down=linear(f"{i}.down", layer.down),
        )
        for i, layer in enumerate(weights.layers)
    ]
    return layers, linear("head", weights.head)
