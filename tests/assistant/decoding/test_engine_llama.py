"""Our own decoder in the engine: drafts, block prefill and cache slots only save time."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_copilot.assistant.backend.cache_slots import MAX_TYPED_TOKENS, MIN_SHARED_TOKENS
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaWeights
from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.backend.precision import choose_formats
from git_copilot.assistant.backend.torch_ops import has_weight_only_int8
from git_copilot.assistant.core.config import cache_dir
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.index.core.errors import ModelError
from tests.support.left_to_right_model import LONG, plain_folder, plain_tokenizer  # noqa: F401 - fixtures
from tests.support.tiny_models import CODE


@pytest.fixture(scope="module")
def llama_model(folder):
    return load_model(folder, dtype=torch.float32)


@pytest.fixture
def llama_engine(llama_model, tokenizer):
    return Engine(llama_model, tokenizer)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_draft_gives_the_same_text_as_no_draft(llama_engine, data):
    """Drafts that are right for a while, then wrong."""
    prompt = llama_engine.tokenizer.encode(CODE)
    truth, ids = write_plainly(llama_engine, prompt)
    cuts = data.draw(st.lists(st.integers(0, len(ids)), min_size=1, max_size=6))
    noise = data.draw(st.lists(st.integers(0, 250), max_size=8))
    draft = [
        token for cut in cuts for token in (*prompt[-3:], *ids[:cut], *noise, *ids[cut : cut + 4])
    ]
    found = llama_engine.generate(GenerationRequest(prompt, LONG, draft=draft))
    assert (found.text, found.finish, found.tokens) == (truth.text, truth.finish, truth.tokens)
    assert found.accepted <= found.drafted


def write_plainly(engine, prompt):
    """The text without speculation, and its ids except the last."""
    engine.speculative = False
    truth = engine.generate(GenerationRequest(prompt, LONG))
    engine.speculative = True
    return truth, engine.slots._slots[-1].ids[len(prompt) :]


def test_a_correct_draft_saves_forward_passes(llama_engine, monkeypatch):
    prompt = llama_engine.tokenizer.encode(CODE)
    truth, ids = write_plainly(llama_engine, prompt)
    read = []
    forward = llama_engine.backend.forward

    def counting(cache, ids, wanted):
        read.append(len(ids))
        return forward(cache, ids, wanted)

    monkeypatch.setattr(llama_engine.backend, "forward", counting)
    found = llama_engine.generate(GenerationRequest(prompt, LONG, draft=[*prompt, *ids]))
    assert found.text == truth.text
    assert found.accepted > found.tokens / 2
    assert len(read) < found.tokens / 2


def test_further_candidates_reuse_the_prefilled_prompt(llama_engine, llama_model, tokenizer):
    prompt = llama_engine.tokenizer.encode(CODE)
    samplings = [Sampling(30, temperature=0.9 if i else 0.0, seed=i) for i in range(4)]
    cold = [
        Engine(llama_model, tokenizer).generate(GenerationRequest(prompt, s)).text
        for s in samplings[1:]
    ]
    llama_engine.generate(GenerationRequest(prompt, samplings[0]))
    found = [llama_engine.generate(GenerationRequest(prompt, s)) for s in samplings[1:]]
    assert [f.text for f in found] == cold
    assert {f.cached_tokens for f in found} == {len(prompt)}
    assert len(set(cold)) == 3


def test_alternating_between_two_files_keeps_both_caches(llama_engine, llama_model, tokenizer):
    ids = tokenizer.encode(CODE * 6)
    common = ids[:40]
    texts = [common + ids[50 : 60 + MAX_TYPED_TOKENS], common + ids[65 : 75 + MAX_TYPED_TOKENS]]
    for text in texts:
        llama_engine.generate(GenerationRequest(text, LONG))
    assert len(llama_engine.slots) == 2
    for length, text in itertools.product((1, 2, 3), texts):
        typed = text + ids[:length]
        found = llama_engine.generate(GenerationRequest(typed, LONG))
        assert found.cached_tokens == len(typed) - 1
        assert (
            found.text
            == Engine(llama_model, tokenizer).generate(GenerationRequest(typed, LONG)).text
        )


def test_a_second_file_copies_the_cache_of_the_common_prefix(llama_engine, llama_model, tokenizer):
    ids = tokenizer.encode(CODE * 8)
    first, second = ids[: 101 + MAX_TYPED_TOKENS], ids[:100] + ids[5 : 60 + MAX_TYPED_TOKENS]
    llama_engine.generate(GenerationRequest(first, LONG))
    found = llama_engine.generate(GenerationRequest(second, LONG))
    assert found.cached_tokens == 100
    assert (
        found.text == Engine(llama_model, tokenizer).generate(GenerationRequest(second, LONG)).text
    )
    assert llama_engine.generate(GenerationRequest(first, LONG)).cached_tokens == len(first)


@pytest.mark.parametrize("beginning", [1, MIN_SHARED_TOKENS - 1])
def test_short_common_prefixes_are_not_shared(llama_engine, llama_model, tokenizer, beginning):
    """Prefill from the third token on, in other blocks, could be rounded differently."""
    ids = tokenizer.encode(CODE * 8)
    llama_engine.generate(GenerationRequest(ids[:200], LONG))
    second = ids[:beginning] + ids[5 + beginning : 205]
    found = llama_engine.generate(GenerationRequest(second, LONG))
    assert found.cached_tokens == 0
    assert (
        found.text == Engine(llama_model, tokenizer).generate(GenerationRequest(second, LONG)).text
    )
    assert llama_engine.generate(GenerationRequest(ids[:200], LONG)).cached_tokens == 200


def test_a_cancelled_prompt_is_read_on_by_the_next_request(llama_engine, llama_model, tokenizer):
    prompt, asked = tokenizer.encode(CODE * 20)[:600], itertools.count()
    layers = llama_model.config.num_hidden_layers
    found = llama_engine.generate(
        GenerationRequest(prompt, LONG, is_cancelled=lambda: next(asked) >= layers)
    )
    assert (found.text, found.tokens, found.finish) == ("", 0, "length")
    measured = []
    llama_engine._rate.add = measured.append
    # The next key was typed meanwhile. One layer is left of the 600 tokens, and one pass of the new.
    typed, passes = [*prompt[:-1], *tokenizer.encode("=1")], []
    read = llama_engine.backend.read
    llama_engine.backend.read = lambda cache, ids, interrupted: (
        passes.append((len(ids), cache.unfinished and cache.unfinished.layers))
        or read(cache, ids, interrupted)
    )
    after = llama_engine.generate(GenerationRequest(typed, LONG))
    assert passes[0] == (len(typed), layers - 1)
    assert [count for count, _ in passes] == [len(typed), len(typed) - len(prompt) + 1]
    fresh = Engine(llama_model, tokenizer).generate(GenerationRequest(typed, LONG))
    assert after.text == fresh.text
    assert measured == []  # half a pass says nothing about the speed
    llama_engine.generate(GenerationRequest(list(reversed(prompt)), LONG))
    assert len(measured) == 1


def test_cancellation_and_timeout_return_the_text_so_far(llama_engine, tokenizer):
    prompt = tokenizer.encode(CODE)
    whole = llama_engine.generate(GenerationRequest(prompt, LONG))
    llama_engine.speculative = False
    asked = itertools.count()
    found = llama_engine.generate(
        GenerationRequest(prompt, LONG, is_cancelled=lambda: next(asked) >= 5)
    )
    assert (found.tokens, found.finish) == (5, "length")
    assert whole.text.startswith(found.text)
    late = llama_engine.generate(
        GenerationRequest(prompt + prompt, Sampling(max_tokens=2000, time_limit_ms=1))
    )
    assert late.tokens < 2000
    assert late.finish == "length"


def test_a_failed_forward_leaves_no_stale_cache(llama_engine, tokenizer, monkeypatch):
    prompt = tokenizer.encode(CODE)
    wanted = llama_engine.generate(GenerationRequest(prompt, LONG)).text
    forward = llama_engine.backend.forward

    def failing(cache, ids, count):
        forward(cache, ids, count)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(llama_engine.backend, "forward", failing)
        with pytest.raises(KeyboardInterrupt):
            llama_engine.generate(GenerationRequest(prompt + prompt[:9], LONG))
    assert llama_engine.generate(GenerationRequest(prompt, LONG)).text == wanted


def test_the_forced_prefix_is_written_with_the_most_likely_tokens(llama_engine, tokenizer):
    """The first token may write more than the prefix."""
    ids = tokenizer.encode(CODE)
    size = len(tokenizer._vocabulary)
    for cut in range(20, 60, 7):
        with torch.inference_mode():
            logits = llama_engine.backend.forward(llama_engine.backend.new_cache(), ids[:cut], 1)[0]
        fitting = [i for i in range(size) if tokenizer.decode([i]).startswith("s")]
        best = max(fitting, key=lambda i: float(logits[i]))
        found = llama_engine.generate(GenerationRequest(ids[:cut], Sampling(1), forced_prefix="s"))
        assert found.text == tokenizer.decode([best])[1:]


def test_the_forced_prefix_is_never_split_unnaturally(tokenizer):
    """A word may continue in many ways, but is never split into letters."""
    fitting = PrefixIndex(tokenizer).tokens_for(" width", tokenizer.size).tolist()
    spelt = {tokenizer.decode([i]) for i in fitting}
    longer = {tokenizer.decode([tokenizer.encode(f" width{more}")[0]]) for more in ("", "s", "_of")}
    assert longer <= spelt
    assert " " not in spelt and tokenizer.encode(" ")  # it is a token all the same
    assert all(x.startswith(" w") for x in spelt)


def test_a_long_forced_prefix_is_prefilled_at_once(llama_engine, tokenizer, monkeypatch):
    prompt, lead = tokenizer.encode(CODE), "zqxj" * 5
    llama_engine.speculative = False
    plain = llama_engine.generate(GenerationRequest(prompt, Sampling(30), forced_prefix=lead))
    llama_engine.speculative, read, forward = True, [], llama_engine.backend.forward
    monkeypatch.setattr(
        llama_engine.backend,
        "forward",
        lambda cache, ids, wanted: (read.append(len(ids)), forward(cache, ids, wanted))[1],
    )
    found = llama_engine.generate(GenerationRequest(prompt, Sampling(30), forced_prefix=lead))
    assert (found.text, found.ids) == (plain.text, plain.ids)
    of_lead = len(tokenizer.encode(lead))
    assert of_lead > 8 and len(read) <= 30 - of_lead + 8


def test_the_stop_condition_is_checked_after_every_token_despite_drafts(llama_engine, tokenizer):
    prompt = tokenizer.encode(CODE)
    draft = [*prompt, *write_plainly(llama_engine, prompt)[1]]
    for length in range(1, 12):
        found = llama_engine.generate(
            GenerationRequest(
                prompt, LONG, draft=draft, should_stop=lambda text, n=length: len(text) >= n
            )
        )
        llama_engine.speculative = False
        plain = llama_engine.generate(
            GenerationRequest(prompt, LONG, should_stop=lambda text, n=length: len(text) >= n)
        )
        llama_engine.speculative = True
        assert (found.text, found.finish, found.tokens) == (plain.text, "trimmed", plain.tokens)


def test_cache_memory_is_bounded(llama_engine, tokenizer):
    ids = tokenizer.encode(CODE * 30)
    for start in range(0, 70, 7):
        llama_engine.generate(GenerationRequest(ids[start : start + 300], Sampling(2)))
    assert len(llama_engine.slots) == 4
    llama_engine.slots._max_bytes = llama_engine.slots.bytes - 1
    llama_engine.generate(GenerationRequest(ids[3:400], Sampling(2)))
    assert len(llama_engine.slots) == 3


def test_prefill_rate_is_measured_when_loading(folder):
    engine = Engine.load(folder)
    assert engine.prefill_rate is not None
    assert engine.prefill_rate > 0
    shape = LlamaWeights.from_files(folder).layer_shape  # measured once, and kept in the cache
    assert engine.precision == choose_formats(shape=shape, cache=cache_dir()).name
    assert isinstance(engine.backend, LlamaDecoder)


def test_prefill_rate_changes_only_after_a_large_deviation(llama_engine):
    for rate in (1000.0, 1100.0, 900.0, 1200.0):
        llama_engine._rate.add(rate)
        assert llama_engine.prefill_rate == 1000.0
    for _ in range(9):
        llama_engine._rate.add(400.0)
    assert 390 < llama_engine.prefill_rate < 600


def test_an_unknown_precision_is_refused_with_the_valid_ones(folder):
    with pytest.raises(ModelError, match="int3"):
        Engine.load(folder, precision="int3")
    for precision in ("bf16", "fp32", *(["int8"] if has_weight_only_int8() else [])):
        assert Engine.load(folder, precision=precision).precision == precision
