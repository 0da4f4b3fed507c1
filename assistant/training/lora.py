"""LoRA layers (Hu et al. 2021, arXiv 2106.09685) fast on a CPU, and adapter files for peft."""

from __future__ import annotations

import json
import types
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.files import os_errors, write_atomically

ADAPTER = "default"
DROPOUT = 0.05
# What is added is scaled by this in training.
ALPHA = 2


class _LowRank(torch.autograd.Function):
    """``x W' + (x A') B'`` without a copy of x per layer; gradients for x, A and B only."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any) -> Any:
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ a.t()
        result = functional.linear(flat, weight, bias)
        result.addmm_(low, b.t())
        ctx.save_for_backward(flat, low, weight, a, b)
        ctx.shape = x.shape
        return result.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        flat, low, weight, a, b = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        inner = grad @ b
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            grad_x.addmm_(inner, a)
            grad_x = grad_x.view(ctx.shape)
        return grad_x, None, None, inner.t() @ flat, grad.t() @ low


def _fused_forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    rate = getattr(layer.lora_dropout[ADAPTER], "p", 0.0)
    if layer.training and rate:
        # Dropping an input feature is dropping a column of A: this needs no mask of the size of x.
        kept = torch.rand(a.shape[1], device=a.device) >= rate
        a = a * (kept.to(a.dtype) / (1 - rate))
    base = layer.base_layer
    scaled = b * layer.scaling[ADAPTER]
    result: torch.Tensor = _LowRank.apply(x, base.weight, base.bias, a, scaled)  # type: ignore[no-untyped-call]
    return result


def add_adapter(
    model: Any, rank: int, seed: int, start: Path | None = None, dropout: float = DROPOUT
) -> Any:
    """Wrap a model for training: the base frozen, LoRA weights in its dtype, new or those of the
    adapter in ``start``.

    :param model: of any floating dtype, or with layers in four bits (QLoRA).
    :param dropout: the share of the input features of each layer that is left out of a step.
    :raises ModelError: the adapter in ``start`` cannot be read, or has other layers or another rank.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import Linear

    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA * rank,
        lora_dropout=dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # peft uses names that transformers deprecates
        wrapped = get_peft_model(model, config, adapter_name=ADAPTER, autocast_adapter_dtype=False)
    for layer in wrapped.modules():
        if isinstance(layer, Linear) and type(layer.base_layer) is torch.nn.Linear:
            layer.forward = types.MethodType(_fused_forward, layer)  # type: ignore[method-assign]
    if start is not None:
        _load_weights(wrapped, start)
    return wrapped.train()


def _load_weights(wrapped: Any, folder: Path) -> None:
    """Start from the adapter in ``folder``: copy its weights into those of ``wrapped``.

    :raises ModelError: it cannot be read, or has other layers or another rank.
    """
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    try:
        weights = load_peft_weights(str(folder), device="cpu")
        result: Any = set_peft_model_state_dict(wrapped, weights, adapter_name=ADAPTER)
        missing = [key for key in result.missing_keys if "lora_" in key]
        if result.unexpected_keys or missing:
            raise ValueError("it has other layers")
    except Exception as exc:  # safetensors, peft and torch each raise their own
        raise ModelError(
            f"cannot continue from adapter {folder.name} ({str(exc).splitlines()[0][:160]})",
            "train without it, or choose one with the same base model and rank",
        ) from exc


def save_adapter(model: Any, folder: Path, model_name: str) -> None:
    """Write the adapter; it names its base model, not a path on this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    model.peft_config[ADAPTER].base_model_name_or_path = model_name
    model.peft_config[ADAPTER].inference_mode = True
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # an empty template


def scale_adapter(config: Path, scale: float) -> None:
    """Let a trained adapter act at ``scale``, 1 being what was trained; training that starts from it
    takes up the whole.

    :param config: its ``adapter_config.json``.
    :raises CopilotError: it cannot be written.
    """
    facts = json.loads(config.read_text("utf-8"))
    facts["lora_alpha"] = ALPHA * facts["r"] * scale
    with os_errors(config):
        write_atomically(config, f"{json.dumps(facts, indent=2)}\n".encode())
