"""A forward pass over a prompt can be interrupted between layers and goes on later."""

from __future__ import annotations

import pytest
import torch

from git_copilot.assistant.backend import llama
from git_copilot.assistant.backend.kv_cache import GROWTH
from git_copilot.assistant.backend.linear import MAX_FEW_ROWS
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaWeights
from git_copilot.assistant.backend.precision import choose_formats
from tests.assistant.backend.test_llama import OURS, make, tokens

LAYERS = 3


@pytest.fixture
def decoder():
    with torch.inference_mode():
        weights = LlamaWeights.from_transformers(make(OURS["llama"]))
        yield LlamaDecoder(weights, choose_formats("fp32"))


class After:
    """Interrupts before layer ``count``."""

    def __init__(self, count=LAYERS):
        self.count, self.asked = count, 0

    def __call__(self):
        self.asked += 1
        return self.asked > self.count


def read_all(decoder, cache, ids):
    while True:
        count, logits = decoder.read(cache, ids, lambda: False)
        ids = ids[count:]
        if not ids:
            return logits


def check_same(decoder, cache, ids, found):
    fresh = decoder.new_cache()
    torch.testing.assert_close(found, read_all(decoder, fresh, ids), rtol=1e-4, atol=1e-4)
    assert cache.length == len(ids)
    for ours, wanted in zip((*cache.keys,), (*fresh.keys,), strict=True):
        close = ours[:, :, : len(ids)], wanted[:, :, : len(ids)]
        torch.testing.assert_close(*close, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("before", [0, 30])
@pytest.mark.parametrize("layers", range(LAYERS))
def test_it_goes_on_at_the_layer_where_it_was_interrupted(decoder, before, layers):
    ids, cache = tokens(90), decoder.new_cache()
    if before:
        read_all(decoder, cache, ids[:before])
    assert decoder.read(cache, ids[before:], After(layers))[0] == 0
    assert (cache.length, list(cache.unfinished_ids)) == (before, ids[before:])
    rest = After()
    count, logits = decoder.read(cache, ids[before:], rest)
    assert (count, rest.asked) == (len(ids) - before, LAYERS - layers)
    check_same(decoder, cache, ids, logits)


def test_it_can_be_interrupted_again_and_again(decoder):
    ids, cache, calls = tokens(70), decoder.new_cache(), 0
    while not (found := decoder.read(cache, ids, After(1)))[0]:
        calls += 1
    assert calls == LAYERS - 1
    check_same(decoder, cache, ids, found[1])


def test_what_both_texts_begin_with_is_used_when_the_end_has_changed(decoder):
    ids, cache = tokens(90), decoder.new_cache()
    decoder.read(cache, ids, After(2))
    other = [*ids[:60], *reversed(ids[60:])]
    rest = After()
    count, _ = decoder.read(cache, other, rest)
    assert (count, rest.asked) == (60, 1)
    check_same(decoder, cache, other, read_all(decoder, cache, other[60:]))


def test_another_text_is_read_from_its_beginning(decoder):
    ids, cache = tokens(90), decoder.new_cache()
    decoder.read(cache, ids, After(2))
    other = [*ids[: MAX_FEW_ROWS // 2], *reversed(ids[MAX_FEW_ROWS // 2 :])]
    check_same(decoder, cache, other, read_all(decoder, cache, other))
    assert not cache.unfinished_ids


def test_nothing_is_taken_up_behind_another_beginning(decoder):
    ids, cache = tokens(90), decoder.new_cache()
    read_all(decoder, cache, ids[:40])
    decoder.read(cache, ids[40:], After(2))
    cache.crop(39)
    assert not cache.unfinished_ids
    decoder.read(cache, ids[39:], After(2))
    decoder.forward(cache, ids[39:41], 1)  # writes where the unfinished pass wrote
    assert not cache.unfinished_ids
    check_same(decoder, cache, ids, read_all(decoder, cache, ids[41:]))


def test_a_growing_cache_keeps_what_an_unfinished_pass_wrote(decoder):
    ids, cache = tokens(GROWTH + 40), decoder.new_cache()
    decoder.read(cache, ids[: GROWTH - 8], After(2))
    cache.reserve(len(ids))
    count, _ = decoder.read(cache, ids, After())
    assert count == GROWTH - 8
    check_same(decoder, cache, ids, read_all(decoder, cache, ids[count:]))


def test_long_prompts_are_read_in_several_passes(decoder, monkeypatch):
    ids, cache, sizes = tokens(150), decoder.new_cache(), []
    whole = decoder.forward(decoder.new_cache(), ids, 1)[0]
    monkeypatch.setattr(llama, "ROWS_AT_ONCE", 64)
    rest = ids
    while rest:
        count, logits = decoder.read(cache, rest, lambda: False)
        sizes.append(count)
        rest = rest[count:]
    assert sizes == [64, 64, 22]
    torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-4)
