"""Number formats are chosen by what was measured, once for each machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from git_copilot.assistant.backend import kernel_rates as rates_module
from git_copilot.assistant.backend import precision
from git_copilot.assistant.backend.formats import Formats, KernelRates, newest_rates
from git_copilot.assistant.backend.kernel_rates import kernel_rates
from git_copilot.assistant.backend.precision import (
    choose_formats,
    load_dtype,
    score_dtype,
    training_dtype,
)
from git_copilot.index.core.errors import ModelError
from tests.assistant.backend.test_linear_kernels import AVX2

FEW = {"fp32": 120.0, "bf16": 110.0, "fp16": 52.0, "int8": 55.0}


def rates(*, few=FEW, many, plain=None, bandwidth=12.0):
    plain = plain or {"fp32": 110.0, "bf16": 18.0}
    return KernelRates("avx2", 884_736, few, many, plain, bandwidth, 63, False)


@pytest.fixture
def measured(monkeypatch):
    def set_rates(**facts):
        monkeypatch.setattr(precision, "kernel_rates", lambda *_: rates(**facts))

    return set_rates


def test_int8_weights_are_converted_for_prompts_to_what_is_fastest(measured):
    measured(many={"fp32": 115.0, "fp16": 125.0})  # fp16 is a form to keep, not one to compute in
    assert choose_formats() == Formats("int8", "fp32")
    measured(many={"fp32": 175.0, "bf16": 1100.0, "fp16": 172.0})
    assert choose_formats() == Formats("int8", "bf16")
    measured(many={"fp32": 50.0})
    assert choose_formats("int8") == Formats("int8", "fp32")


def test_half_the_bytes_win_unless_float32_is_much_faster(measured):
    few = {**FEW, "int8": 3000.0}  # reference loops
    measured(few=few, many={"fp32": 115.0, "fp16": 103.0})
    assert choose_formats() == Formats("fp16", "fp16")
    measured(few=few, many={"fp32": 115.0, "fp16": 60.0})
    assert choose_formats() == Formats("fp32", "fp32")


def test_decoding_takes_the_format_that_is_read_and_computed_fastest(measured):
    many = {"fp32": 115.0, "fp16": 103.0}
    measured(few={**FEW, "int8": 3000.0}, many=many)  # reference loops
    assert choose_formats() == Formats("fp16", "fp16")
    measured(few={"fp32": 120.0, "bf16": 300.0}, many={"fp32": 115.0})
    assert choose_formats() == Formats("fp32", "fp32")
    # In cache fp16 is faster than int8; read from memory it takes twice as long.
    assert rates(many=many).int8_is_fastest
    assert not rates(many=many, bandwidth=1e6).int8_is_fastest


def test_the_setting_overrides_what_was_measured(measured):
    measured(few={"fp32": 1.0, "bf16": 2.0}, many={"fp32": 100.0})
    for wanted in ("bf16", "fp32"):
        assert choose_formats(wanted) == Formats(wanted, wanted)
    for wanted in ("int8", "fp16"):
        with pytest.raises(ModelError, match=f"no kernels for {wanted}"):
            choose_formats(wanted)
    with pytest.raises(ModelError, match="unknown precision 'int3'"):
        choose_formats("int3")


def test_scores_and_masks_are_bf16_only_where_prompts_are_read_in_it():
    assert score_dtype(Formats("int8", "bf16")) == torch.bfloat16
    assert score_dtype(Formats("int8", "fp16")) == torch.float32
    assert score_dtype(Formats("fp32", "fp32")) == torch.float32


def test_training_takes_what_plain_kernels_do_fastest(measured):
    measured(many={"fp32": 1.0}, plain={"fp32": 110.0, "bf16": 18.0})
    assert training_dtype() == load_dtype("cpu") == torch.float32
    assert load_dtype("cpu", "bf16") == load_dtype("cuda") == torch.bfloat16
    measured(many={"fp32": 1.0}, plain={"fp32": 170.0, "bf16": 800.0})
    assert training_dtype() == torch.bfloat16


def test_rates_are_measured_once_and_read_back(tmp_path, monkeypatch):
    shape = (1024, 640)
    first = kernel_rates(shape, tmp_path)
    assert first.weights == 1024 * 640
    assert set(first.few) >= {"fp32", "bf16"} and set(first.plain) == {"fp32", "bf16"}
    assert all(
        value > 0 for part in (first.few, first.many, first.plain) for value in part.values()
    )
    assert newest_rates(tmp_path) == first
    (file,) = tmp_path.iterdir()
    rates_module._rates.cache_clear()
    monkeypatch.setattr(rates_module, "_measure", lambda shape: pytest.fail("measured again"))
    assert kernel_rates(shape, tmp_path) == first
    file.write_text("{")  # damaged: measured again
    assert newest_rates(tmp_path) is None
    rates_module._rates.cache_clear()
    monkeypatch.setattr(rates_module, "_measure", lambda shape: first)
    assert kernel_rates(shape, tmp_path) == first
    assert json.loads(file.read_text())["weights"] == first.weights


def test_tiny_layers_share_one_measurement(tmp_path, monkeypatch):
    seen = []
    found = rates(many={"fp32": 1.0})
    monkeypatch.setattr(rates_module, "_measure", lambda shape: seen.append(shape) or found)
    rates_module._rates.cache_clear()
    kernel_rates((32, 64), tmp_path)
    kernel_rates((64, 32), tmp_path)
    rates_module._rates.cache_clear()
    assert seen == [rates_module.DEFAULT_SHAPE]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(rates_module, "_measure", lambda shape: rates(many={"fp32": 1.0}))
    rates_module._rates.cache_clear()
    (tmp_path / "file").write_text("")
    kernel_rates((1024, 512), tmp_path / "file" / "below")
    rates_module._rates.cache_clear()


@pytest.mark.slow
def test_avx2_neither_serves_nor_trains_in_bf16():
    """bf16 takes six times as long there."""
    code = (
        "from git_copilot.assistant.backend.precision import *\n"
        "from git_copilot.assistant.backend.kernel_rates import instruction_set\n"
        "found = choose_formats()\n"
        "print(instruction_set(), found.few, found.many, training_dtype())"
    )
    run = [sys.executable, "-c", code]
    env = {**os.environ, **AVX2}
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=True)
    name, few, many, dtype = done.stdout.split()
    if name == "avx2":
        assert "bf16" not in (few, many)
        assert dtype == "torch.float32"
