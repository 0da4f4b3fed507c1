"""`doctor` and `status` tell which number formats were chosen, and why."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from git_copilot.assistant.backend.formats import KernelRates
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.diagnostics.precision_check import (
    describe_precision,
    examine_precision,
)

RATES = KernelRates(
    instructions="avx2",
    weights=884_736,
    few={"fp32": 120.0, "bf16": 103.0, "fp16": 52.0, "int8": 55.0},
    many={"fp32": 115.0, "fp16": 103.0},
    plain={"fp32": 115.0, "bf16": 18.0},
    bandwidth=12.0,
    digit=63,
    compiled=True,
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path))
    return tmp_path


def record(cache, rates):
    (cache / "kernels-0123.json").write_text(json.dumps(asdict(rates)))


def test_the_choice_is_told_with_its_rates(cache):
    record(cache, RATES)
    assert describe_precision(Settings()) == (
        "int8 to decode, fp32 to read prompts, fp32 to train on avx2"
    )
    found = examine_precision(Settings())
    assert found.level == "ok"
    assert "one row int8 74, bf16 147, fp16 147, fp32 295 µs" in found.message
    assert "many rows fp32 115, fp16 103 GFLOP/s" in found.message


def test_a_precision_that_was_set_is_named(cache):
    record(cache, RATES)
    told = describe_precision(replace(Settings(), precision="fp32"))
    assert (
        told
        == "fp32 to decode, fp32 to read prompts, fp32 to train on avx2, as copilot.precision is fp32"
    )


def test_before_the_first_model_nothing_is_claimed(cache):
    assert describe_precision(Settings()) is None
    assert examine_precision(Settings()).level == "ok"
    (cache / "kernels-0123.json").write_text("{}")
    assert describe_precision(Settings()) is None


def test_a_precision_without_kernels_is_a_fault_with_a_remedy(cache):
    record(cache, replace(RATES, few={"fp32": 1.0, "bf16": 2.0}))
    found = examine_precision(replace(Settings(), precision="int8"))
    assert found.level == "fail"
    assert "int8" in found.message and "copilot.precision" in found.mend


def test_a_missing_compiler_is_told(cache):
    record(cache, replace(RATES, compiled=False))
    found = examine_precision(Settings())
    assert found.level == "ok"
    assert "install again with a C compiler" in str(found)
