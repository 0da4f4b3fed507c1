"""bench/engine.py measures what it claims, on a tiny model."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.decoding.engine import Engine
from tests.support.tiny_models import CODE, save_tiny

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import engine
    import engine_bounds
    import engine_rivals

    yield engine, engine_rivals, engine_bounds
    for name in ("engine", "engine_bounds", "engine_rivals", "about"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.mark.slow
def test_all_rivals_write_the_same_text_and_are_timed(bench, folder):
    engine, rivals, _ = bench
    tokenizer = rivals.Endless.load(folder)
    model = load_model(folder)
    own = Engine(model, tokenizer, "fp32")
    found = [
        rivals.Ours("ours fp32", own),
        rivals.Ours("ours fp32, plain", own, guess=False),
        rivals.Transformers("transformers", model.float()),
    ]
    source = tokenizer.encode(CODE * 90)
    figures, equal, rounds = engine.compete(found, [source], (40, 90), 2, math.inf)
    assert rounds == 2 == engine.compete(found[:2], [source], (40,), 2, math.inf)[2]
    assert engine.compete(found[:2], [source], (40,), 2, 0.0)[2] == 1
    assert set(figures) == {"40", "90"}
    for row in figures["90"].values():
        assert set(row) == {"cold", "warm", "typed", "line", "block", "read", "decode"}
        assert all(value > 0 for value in row.values() if value != row["warm"])
        assert row["block"] > row["line"] > row["cold"]
    assert equal == {"ours fp32, plain = with guesses": "4 of 4"}
    prompt = source[500:540]
    texts = [rival.write(prompt, 30, reset=True).ids for rival in found]
    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0]) == 30
    assert engine.equal_in_float32(folder, tokenizer, source) == {
        "ours fp32 = transformers fp32": "4 of 4"
    }


def test_profile_times_forwards_of_256_1_and_8_tokens_behind_768(bench, folder, monkeypatch):
    _, rivals, bounds = bench
    backend = Engine(load_model(folder), rivals.Endless.load(folder), "fp32").backend
    prompt = [i % 300 for i in range(1024)]
    forwards, forward = [], backend.forward

    def recorded(cache, ids, wanted):
        assert ids == prompt[cache.length :][: len(ids)]
        forwards.append((cache.length, len(ids)))
        return forward(cache, ids, wanted)

    monkeypatch.setattr(backend, "forward", recorded)
    monkeypatch.setattr(bounds, "fastest", lambda job, seconds=1.0: (job(), 0.0125)[1])
    found = bounds.profile(backend, prompt)
    measured = [(768, 256), (768, 1), (768, 8)]
    assert [call for call in forwards if call[0] == 768] == [c for c in measured for _ in "12"]
    assert set(found) == {f"{count} tokens" for _, count in measured}
    for part in found.values():
        assert part["ms"] == 12.5
        assert 0 < len(part["share_percent"]) <= bounds.SHOWN
        assert part["operations"] >= len(part["share_percent"])
        assert 0 < sum(part["share_percent"].values()) < 101
    json.dumps(found)


def test_bounds_count_every_weight_of_the_model_once(bench, folder, monkeypatch):
    _, _, bounds = bench
    monkeypatch.setattr(bounds, "fastest", lambda job, seconds: (job(), 0.5)[1])
    model = load_model(folder)
    config = model.config
    hidden, layers = config.hidden_size, config.num_hidden_layers
    keys = hidden // config.num_attention_heads * config.num_key_value_heads
    layer = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * config.intermediate_size
    whole = layers * layer + config.vocab_size * hidden
    found = bounds.bounds(model, 1.0)
    bytes_per_second, products_per_second = bounds.BUFFER / 0.5, 1024**3 / 0.5
    assert found["decode_bf16"] == pytest.approx(bytes_per_second / (2 * whole), abs=0.1)
    assert found["decode_int8"] == pytest.approx(bytes_per_second / whole, abs=0.1)
    assert found["decode_4_bit"] == pytest.approx(bytes_per_second / (whole / 2), abs=0.1)
    assert found["prefill_large_product"] == round(products_per_second / (layers * layer))
    assert found["prefill_own_shapes"] == round(bounds.ROWS / (0.5 * layers))
    json.dumps(found)


def test_the_typing_bench_prefills_the_prompt_once(bench, folder, monkeypatch):
    engine, rivals, _ = bench
    monkeypatch.setattr(engine, "KEYS", 3)
    own = Engine(load_model(folder), rivals.Endless.load(folder), "fp32")
    prefilled, generate = [], own.generate

    def recorded(request):
        found = generate(request)
        prefilled.append(len(request.prompt) - found.cached_tokens)
        return found

    monkeypatch.setattr(own, "generate", recorded)
    found = engine.typing(own, folder)
    assert len(prefilled) == 1 + found["keys"] == 4
    assert prefilled[0] == 1000 and max(prefilled[1:]) <= 3
    assert found["p90"] >= found["p50"] > 0
