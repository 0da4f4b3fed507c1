"""A line more likely than the greedy one is found within a bounded number of expansions."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from git_copilot.assistant.backend.cache_slots import CacheSlot, CacheSlots
from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.llama_weights import LlamaWeights
from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.backend.precision import choose_formats
from git_copilot.assistant.backend.transformers_backend import TransformersBackend
from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.decoding.batched_decoding import TokenTree
from git_copilot.assistant.decoding.best_first_search import BATCH, BestFirstSearch, Hypothesis
from git_copilot.assistant.decoding.copy_model import CopyModel
from git_copilot.assistant.decoding.copy_source import CopySource
from git_copilot.assistant.decoding.copy_weights import LONGEST, CopyWeights
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import CopyContext, GenerationRequest, Sampling
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.evaluation.scorer import ScoringOptions, evaluate
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.index.core.types import Hole
from tests.support.tiny_models import CODE

PLAIN = CopyWeights(0, 0, 0, 0, (-50.0,) * LONGEST, line_end=math.inf, token_reward=0.0)


class ScriptedModel:
    """Given probabilities: text so far → {next text, or "" for the end: probability}."""

    def __init__(self, tokenizer, chances):
        self.tokenizer, self.chances, self.asked = tokenizer, chances, []
        self.abreast: list[int] = []

    def logits(self, ids):
        text = self.tokenizer.decode(list(ids))
        self.asked.append(text)
        found = torch.full((self.tokenizer.size,), -30.0)
        for spelt, chance in self.chances[text].items():
            token = self.tokenizer.encode(spelt)[0] if spelt else self.tokenizer.end_id
            found[token] = math.log(chance)
        return found

    def rows(self, texts):
        self.abreast.append(len(texts))
        return torch.stack([self.logits(ids) for ids in texts])


def search(tokenizer, chances, *, reward=0.0, most=50, suffix="\n", over=lambda: False):
    """Decode greedily, then search; returns the text, the tokens read and the table."""
    table = ScriptedModel(tokenizer, chances)
    copier = CopyModel(tokenizer, PLAIN, PrefixIndex(tokenizer))
    lines = BestFirstSearch(CopySource(copier, CopyContext("own.py", "x = ", suffix)), reward)
    line, text = Hypothesis(), ""
    while True:
        logits = table.logits(line.ids)
        token = int(logits.argmax())
        line = lines.expand(line, logits, logits, text)
        if token != line.ids[-1]:
            lines.push(line)
            break
        text = tokenizer.decode(list(line.ids))
    table.asked.clear()
    made = lines.run(table.rows, tokenizer.decode, most, over, 20)
    return tokenizer.decode(list(lines.best.ids)), made, table


# The first step prefers a, after which nothing is sure; b is followed by its end alone.
MISLED = {
    "": {"a": 0.6, "b": 0.4},
    "a": {"c": 0.4, "d": 0.3, "e": 0.3},
    "b": {"": 1.0},
    **{f"a{x}": {"": 1.0} for x in "cde"},
}


def test_a_line_more_likely_than_the_greedy_one_is_found(tokenizer):
    text, made, _ = search(tokenizer, MISLED)
    assert (text, made) == ("b", 1)


def test_a_confident_line_needs_no_search(tokenizer):
    sure = {"": {"a": 0.97, "b": 0.03}, "a": {"": 0.99, "c": 0.01}}
    text, made, table = search(tokenizer, sure)
    assert (text, made, table.asked) == ("a", 0, [])


@pytest.mark.parametrize(("reward", "best"), [(0.0, "b"), (0.4, "b"), (0.6, "ac")])
def test_the_reward_per_token_offsets_the_length_penalty(tokenizer, reward, best):
    # ac has 0.24 in two tokens, b 0.4 in one: 0.51 nats between them.
    assert search(tokenizer, MISLED, reward=reward)[0] == best


@pytest.mark.parametrize(("most", "best"), [(0, "ac"), (1, "b")])
def test_the_number_of_expansions_is_bounded(tokenizer, most, best):
    text, made, table = search(tokenizer, MISLED, most=most)
    assert (text, made, len(table.asked)) == (best, most, most)


def test_branches_are_expanded_in_batches_within_the_bound(tokenizer):
    # Behind the greedy token two others are looked at, and behind what they begin two more each.
    first = {x: 1 / 6 for x in "abcdef"}
    chances = {"": first, **{x: dict.fromkeys("ghi", 1 / 3) for x in first}}
    chances |= {x + y: {"": 1.0} for x in first for y in "ghi"}
    seen = []
    for most in (1, 2, 50):
        _, made, table = search(tokenizer, chances, most=most)
        assert made == sum(table.abreast) <= most
        seen.append(table.abreast)
    assert seen[:2] == [[1], [2]]
    assert max(seen[2]) == BATCH and len(seen[2]) < sum(seen[2]) / 2


def test_a_timeout_returns_the_best_line_so_far(tokenizer):
    assert search(tokenizer, MISLED, over=lambda: True)[:2] == ("ac", 0)


def test_a_newline_counts_as_an_end_except_within_a_line(tokenizer):
    chances = {
        "": {"a": 0.5, "b": 0.5},
        "a": {"": 0.6, "\n": 0.1, "c": 0.3},
        "b": {"": 0.1, "\n": 0.8, "c": 0.1},
        "ac": {"": 1.0},
        "bc": {"": 1.0},
    }
    first = "a" if tokenizer.encode("a")[0] < tokenizer.encode("b")[0] else "b"
    if first != "a":
        chances = {k.translate(str.maketrans("ab", "ba")): v for k, v in chances.items()}
    other = "b" if first == "a" else "a"
    assert search(tokenizer, chances)[0] == other
    assert search(tokenizer, chances, suffix=" + 1\n")[0] == first


def test_a_blank_line_is_not_an_answer(tokenizer):
    blank = {"": {" ": 0.6, "b": 0.4}, " ": {"": 1.0}, "b": {"": 1.0}, " a": {"": 1.0}}
    assert search(tokenizer, blank)[0] == "b"


PREFIX = CODE + "duty = "


@pytest.fixture(scope="module")
def misled_model(folder, tokenizer):
    """A real model, trained to continue PREFIX with MISLED."""
    model = load_model(folder, dtype=torch.float32)
    prompt, end = tokenizer.encode(PREFIX), tokenizer.end_id
    lines = [*(f"a{x}" for x in "cde" * 2), *"bbbb"]
    seen = [[*tokenizer.encode(line), end] for line in lines]
    ids = torch.tensor([[*prompt, *line, *[end] * (3 - len(line))] for line in seen])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model(ids, labels=labels).loss.backward()
        optimizer.step()
    return model.eval()


def written(
    model, tokenizer, prefix=PREFIX, *, weights=PLAIN, forced_prefix="", engine=None, **more
):
    engine = engine or Engine(model, tokenizer, copying=weights)
    context = CopyContext("own.py", prefix + forced_prefix, "\n")
    sampling = Sampling(8, **{"alternatives": 20, **more})
    return engine.generate(
        GenerationRequest(
            tokenizer.encode(prefix), sampling, forced_prefix=forced_prefix, copy_context=context
        )
    )


def test_a_real_model_returns_the_likelier_line_and_reports_it(misled_model, tokenizer):
    greedy = written(misled_model, tokenizer, alternatives=0)
    assert greedy.text in ("ac", "ad", "ae")
    assert (greedy.tried, greedy.instead_of) == (0, None)
    better = written(misled_model, tokenizer)
    assert (better.text, better.finish, better.instead_of) == ("b", "stop", greedy.text)
    assert (list(better.ids), better.tokens) == (tokenizer.encode("b"), 1)
    assert 0 < better.tried <= 20
    assert written(misled_model, tokenizer, alternatives=better.tried).text == "b"
    rewarded = dataclasses.replace(PLAIN, token_reward=1.0)
    longer = written(misled_model, tokenizer, weights=rewarded)
    assert (longer.text, longer.instead_of) == (greedy.text, None)


def test_the_transformers_backend_finds_the_same_line_without_batching(misled_model, tokenizer):
    engine = Engine(misled_model, tokenizer, copying=PLAIN)
    engine.backend = TransformersBackend(misled_model)
    engine.slots = CacheSlots(engine.backend.new_cache)
    found = [written(misled_model, tokenizer, engine=own) for own in (engine, engine, None)]
    assert [(x.text, x.tried, x.instead_of) for x in found[:2]] == [
        (found[2].text, found[2].tried, found[2].instead_of)
    ] * 2


@pytest.mark.parametrize(
    "how",
    [
        {"weights": dataclasses.replace(PLAIN, token_reward=None)},
        {"temperature": 1e-6},
        {"prefix": f"{CODE}def duty(self):\n    "},
        {"prefix": PREFIX.removesuffix(" "), "forced_prefix": " "},
    ],
    ids=["model not measured with it", "sampled", "a block is asked for", "healed"],
)
def test_no_search_outside_of_greedy_single_line_completions(misled_model, tokenizer, how):
    assert written(misled_model, tokenizer, **how).tried == 0


def test_rejected_branches_leave_no_trace_in_the_cache(misled_model, tokenizer):
    engine = Engine(misled_model, tokenizer, copying=PLAIN)
    assert written(misled_model, tokenizer, engine=engine).tried
    for more in ("", "a", "b", "x"):
        warm, cold = (
            written(misled_model, tokenizer, PREFIX + more, engine=own, alternatives=0)
            for own in (engine, None)
        )
        assert (warm.text, warm.ids) == (cold.text, cold.ids)
        assert warm.cached_tokens > 0 == cold.cached_tokens


def test_a_branch_token_has_the_same_logits_as_when_decoded_alone(misled_model, tokenizer):
    """Branches of the cached text and of each other, at several depths at once."""
    decoder, prompt = (
        LlamaDecoder(LlamaWeights.from_transformers(misled_model), choose_formats("fp32")),
        tokenizer.encode(PREFIX),
    )
    text = tokenizer.encode("acb")
    slot = CacheSlot(decoder.new_cache(), [*prompt, *text])
    decoder.forward(slot.cache, slot.ids, 1)
    tree = TokenTree(decoder, slot, len(prompt))
    a, b, c, d = (tokenizer.encode(x)[0] for x in "abcd")
    for texts in ([(b,), (a, d), (a, c, d)], [(b, a), (a, d, c), (a, c, b, d)], [(b, a, c)]):
        for ids, row in zip(texts, tree.forward(texts), strict=True):
            whole = [*prompt, *ids]
            alone = decoder.forward(decoder.new_cache(), whole, 1)[0]
            assert torch.allclose(row, alone, atol=1e-4)
    tree.discard()
    assert slot.cache.length == len(slot.ids)
    more = decoder.forward(slot.cache, [d], 1)[0]
    fresh = decoder.forward(decoder.new_cache(), [*prompt, *text, d], 1)[0]
    assert torch.allclose(more, fresh, atol=1e-4)


def test_evaluation_uses_the_same_search_as_serving(misled_model, tokenizer):
    data = f"{PREFIX}b\n".encode()
    hole = Hole("c" * 40, "0" * 40, "own.py", len(PREFIX), len(data) - 1, "line", "", 0, "python")
    example = dataclasses.replace(
        make_example(tokenizer, cut_blob(data, hole), (), Budget(400, 0, 100)),
        prompt_ids=tuple(tokenizer.encode(PREFIX)),
    )
    for alternatives, em in ((0, 0.0), (20, 100.0)):
        scores = evaluate(
            misled_model,
            tokenizer,
            [example],
            ScoringOptions(max_tokens=8, copying=PLAIN, alternatives=alternatives),
        )
        assert [score.em for score in scores] == [em]
