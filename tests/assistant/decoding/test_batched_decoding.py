"""Candidates decoded in a batch equal those decoded one by one."""

from __future__ import annotations

import itertools

import pytest

from git_copilot.assistant.backend.torch_ops import has_weight_only_int8
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from tests.support.left_to_right_model import plain_folder, plain_model, plain_tokenizer  # noqa: F401 - fixtures
from tests.support.tiny_models import CODE

PRECISIONS = ["fp32", "bf16", *(["int8"] if has_weight_only_int8() else [])]


def sampled(count, tokens=24):
    return [Sampling(tokens, temperature=0.8, seed=seed) for seed in range(count)]


def never(text):
    return False


def many(engine, prompt, samplings, **more):
    endings = more.pop("endings", [never] * len(samplings))
    return engine.generate_many(
        [
            GenerationRequest(prompt, sampling, should_stop=should_stop, **more)
            for sampling, should_stop in zip(samplings, endings, strict=True)
        ]
    )


@pytest.mark.parametrize("lead", ["", "self"])
def test_each_candidate_equals_the_one_decoded_alone(model, tokenizer, lead):
    engine = Engine(model, tokenizer)
    for length in (20, 61, 97):
        prompt = tokenizer.encode(CODE * 3)[:length]
        alone = [
            engine.generate(GenerationRequest(prompt, s, forced_prefix=lead)) for s in sampled(6)
        ]
        beside = many(engine, prompt, sampled(6), forced_prefix=lead)
        assert [(g.text, g.finish, g.ids) for g in beside] == [
            (g.text, g.finish, g.ids) for g in alone
        ]
        assert len({g.text for g in alone}) > 3


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_prompt_cache_is_unchanged_afterwards(model, tokenizer, precision):
    engine = Engine(model, tokenizer, precision)
    prompt = tokenizer.encode(CODE * 2)
    plain = engine.generate(GenerationRequest(prompt, Sampling(24)))
    first = many(engine, prompt, sampled(5))
    assert {g.cached_tokens for g in first} == {len(prompt)}
    assert engine.slots.take(prompt).ids == prompt
    again = engine.generate(GenerationRequest(prompt, Sampling(24)))
    assert again.ids == plain.ids and again.cached_tokens == len(prompt)
    assert [g.ids for g in many(engine, prompt, sampled(5))] == [g.ids for g in first]
    assert [g.ids for g in many(Engine(model, tokenizer, precision), prompt, sampled(5))] == [
        g.ids for g in first
    ]


def test_each_candidate_stops_by_its_own_condition(model, tokenizer):
    engine = Engine(model, tokenizer)
    prompt = tokenizer.encode(CODE)
    whole = many(engine, prompt, sampled(4))
    ends = [3, 10**6, 8, 1]
    endings = [lambda text, end=end: len(text) >= end for end in ends]
    found = many(engine, prompt, sampled(4), endings=endings)
    for short, long, end in zip(found, whole, ends, strict=True):
        assert long.text.startswith(short.text)
        assert (short.finish == "trimmed") == (len(long.text) >= end)
    asked = itertools.count()
    stopped = many(engine, prompt, sampled(4), is_cancelled=lambda: next(asked) >= 5)
    assert {g.tokens for g in stopped} <= {4, 5, 6}
    late = many(engine, prompt * 9, [Sampling(2000, temperature=1.0, time_limit_ms=1)] * 2)
    assert all(g.tokens < 2000 and g.finish == "length" for g in late)


def test_a_failed_batch_leaves_no_stale_cache(model, tokenizer, monkeypatch):
    engine = Engine(model, tokenizer)
    prompt = tokenizer.encode(CODE)
    wanted = engine.generate(GenerationRequest(prompt, Sampling(20))).text

    def failing(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine.backend, "forward_batch", failing)
        with pytest.raises(KeyboardInterrupt):
            many(engine, prompt, sampled(3))
    assert len(engine.slots) == 0
    assert engine.generate(GenerationRequest(prompt, Sampling(20))).text == wanted
