"""How fast this machine multiplies in each number format: a short measurement, cached."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional

from git_copilot.assistant.backend import few_rows
from git_copilot.assistant.backend.few_rows import NativeLinear
from git_copilot.assistant.backend.formats import MANY_ROWS, RATES_PREFIX, KernelRates, read_rates
from git_copilot.assistant.backend.int8_linear import Int8Linear, Quantized, fits_int8
from git_copilot.assistant.backend.linear import Fp16Linear, Linear, PackedLinear, PlainLinear
from git_copilot.assistant.backend.torch_ops import (
    has_fbgemm,
    has_packed_bfloat16,
    has_weight_only_int8,
    largest_exact_digit,
)
from git_copilot.index.core.files import write_atomically

VERSION = 2
# (outputs, inputs) of a layer of the default model.
DEFAULT_SHAPE = (1536, 576)
# A larger layer is cut to this many weights: rates of large products hardly depend on the size.
MAX_WEIGHTS = 2**22
# A smaller layer says nothing: its time is that of the call.
MIN_WEIGHTS = 2**16
_SECONDS = 0.02  # for each kernel, and at least three runs
_BUFFER = 2**26


def instruction_set() -> str:
    """The vector instructions that torch uses here: ``avx512+vnni+bf16+amx``, ``avx2``, ``neon``…"""
    capability = torch.backends.cpu.get_cpu_capability().lower()
    if capability == "default":
        return "neon" if platform.machine() in ("arm64", "aarch64") else "sse"
    found = [capability]
    if capability.startswith("avx512"):
        for name, probe in (
            ("vnni", "_is_vnni_supported"),
            ("bf16", "_is_avx512_bf16_supported"),
            ("amx", "_is_amx_tile_supported"),
        ):
            supported = getattr(torch.cpu, probe, None)
            if supported is not None and supported():
                found.append(name)
    return "+".join(found)


def kernel_rates(shape: tuple[int, int] = DEFAULT_SHAPE, cache: Path | None = None) -> KernelRates:
    """Measure, or read what was measured before; about 0.3 s the first time.

    :param shape: (outputs, inputs) of a layer.
    :param cache: a folder; what is measured is kept there for this processor, this torch and this
        shape.
    """
    outputs, inputs = shape
    measured = shape if outputs * inputs >= MIN_WEIGHTS else DEFAULT_SHAPE
    return _rates(measured, cache)


@functools.cache
def _rates(shape: tuple[int, int], cache: Path | None) -> KernelRates:
    path = None
    if cache is not None:
        facts = (
            VERSION,
            torch.__version__,
            instruction_set(),
            few_rows.level(),
            _processor(),
            shape,
        )
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        path = cache / f"{RATES_PREFIX}{digest}.json"
        if (known := read_rates(path)) is not None:
            with suppress(OSError):
                path.touch()  # the newest file is of the processor that is used
            return known
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = _measure(shape)
    finally:
        torch.set_num_threads(threads)
    if path is not None:
        with suppress(OSError):  # a read-only home: measured again next time
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(asdict(found), indent=1).encode())
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith(("model name", "CPU part")):
                return line.partition(":")[2].strip()
    return platform.processor()


@torch.inference_mode()
def _measure(shape: tuple[int, int]) -> KernelRates:
    outputs, inputs = shape
    outputs = max(16, min(outputs, MAX_WEIGHTS // inputs) // 16 * 16)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
    rows = torch.randn(MANY_ROWS, inputs, generator=generator)
    buffer = torch.ones(_BUFFER // 4)
    few, many = _kernels(weight)
    operations = 2 * MANY_ROWS * weight.numel()
    plain = {
        "fp32": partial(functional.linear, rows, weight),
        "bf16": partial(functional.linear, rows.bfloat16(), weight.bfloat16()),
    }
    return KernelRates(
        instructions=instruction_set(),
        weights=weight.numel(),
        few={name: round(_fastest(partial(run, rows[:1])) * 1e6, 1) for name, run in few.items()},
        many={
            name: round(operations / _fastest(partial(run, rows)) / 1e9, 1)
            for name, run in many.items()
        },
        plain={name: round(operations / _fastest(run) / 1e9, 1) for name, run in plain.items()},
        bandwidth=round(_BUFFER / _fastest(buffer.sum) / 1e9, 1),
        digit=largest_exact_digit(),
        compiled=few_rows.level() is not None,
    )


def _kernels(weight: torch.Tensor) -> tuple[dict[str, Linear], dict[str, Linear]]:
    """The kernels that torch has here, for few and for many rows."""
    fp32, bf16 = PlainLinear(weight), PlainLinear(weight.bfloat16())
    few: dict[str, Linear] = {"fp32": fp32, "bf16": bf16}
    many: dict[str, Linear] = {"fp32": fp32}
    if has_packed_bfloat16():
        many["bf16"] = PackedLinear(weight)
    if has_fbgemm():
        many["fp16"] = few["fp16"] = Fp16Linear(weight)
    if few_rows.level() is not None:
        few["int8"] = NativeLinear(Quantized.of(weight))
    elif has_weight_only_int8() and fits_int8(weight):
        few["int8"] = Int8Linear(Quantized.of(weight))
    return few, many


def _fastest(job: Callable[[], object]) -> float:
    """The shortest time of ``job`` in seconds."""
    job()
    best, runs, end = float("inf"), 0, time.perf_counter() + _SECONDS
    while runs < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        job()
        best, runs = min(best, time.perf_counter() - begun), runs + 1
    return best
