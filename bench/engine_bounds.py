"""The limits of the machine that runs bench/engine.py, and a profile of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

from git_copilot.assistant.backend.cache_slots import Backend
from git_copilot.assistant.backend.precision import dtype_name, training_dtype

ROWS = 256  # as many as the engine reads at a time
BUFFER = 2**28
SHOWN = 8


def fastest(job: Callable[[], object], seconds: float = 1.0) -> float:
    """The shortest time of ``job``, in seconds, among repeated runs."""
    job()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - begun)
    return best


@torch.inference_mode()
def bounds(model: Any, seconds: float) -> dict[str, float | str]:
    """Rates of this machine, and what they allow a transformers ``model``.

    ``prefill`` are tokens a second if reading took only its matrix products (without attention),
    ``decode`` if a token took only reading the weights; the output layer counts once a token when
    decoding, never when reading a prompt.
    """
    dtype = training_dtype()  # the faster of bf16 and float32
    square = torch.randn(1024, 1024, dtype=dtype)
    large = 2 * 1024**3 / fastest(lambda: square @ square, seconds)
    buffer = torch.ones(BUFFER // 4)
    bandwidth = BUFFER / fastest(lambda: buffer.sum(), seconds)
    layers = model.model.layers
    weights = [p for p in layers.parameters() if p.dim() == 2]
    head = model.get_output_embeddings().weight
    count = sum(p.numel() for p in weights)
    first = [p.detach().to(dtype) for p in layers[0].parameters() if p.dim() == 2]
    rows = {p.shape[1]: torch.randn(ROWS, p.shape[1], dtype=dtype) for p in first}
    own = fastest(lambda: [functional.linear(rows[p.shape[1]], p) for p in first], seconds)
    whole = count + head.numel()
    return {
        "gemm_dtype": dtype_name(dtype),
        "gemm_gflops": round(large / 1e9, 1),
        "read_gb_per_s": round(bandwidth / 1e9, 1),
        "prefill_large_product": round(large / (2 * count)),
        "prefill_own_shapes": round(ROWS / (own * len(layers))),
        "decode_bf16": round(bandwidth / (2 * whole), 1),
        "decode_int8": round(bandwidth / whole, 1),
        "decode_4_bit": round(bandwidth * 2 / whole, 1),
    }


@torch.inference_mode()
def profile(backend: Backend, prompt: list[int]) -> dict[str, object]:
    """Milliseconds of one forward over 256, 1 and 8 tokens behind 768, and the operations that
    take most of them."""
    cache = backend.new_cache()
    for start in range(0, 768, ROWS):
        backend.forward(cache, prompt[start : start + ROWS], 1)
    found: dict[str, object] = {}
    for rows in (ROWS, 1, 8):

        def once(count: int = rows) -> None:
            cache.crop(768)
            backend.forward(cache, prompt[768 : 768 + count], 1 if count == ROWS else count)

        milliseconds = fastest(once) * 1000
        with torch_profile(activities=[ProfilerActivity.CPU]) as traced:
            once()
        events = sorted(traced.key_averages(), key=lambda e: -e.self_cpu_time_total)
        total = sum(e.self_cpu_time_total for e in events)
        found[f"{rows} tokens"] = {
            "ms": round(milliseconds, 2),
            "operations": sum(e.count for e in events),
            "share_percent": {
                e.key: round(100 * e.self_cpu_time_total / total, 1) for e in events[:SHOWN]
            },
        }
    return found
