"""Evaluation gives the engine's texts, batched or not, and likelihood equals its definition."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.evaluation.batched_scoring import group
from git_copilot.assistant.evaluation.metrics import Score
from git_copilot.assistant.evaluation.regression_check import check_regression, guard_examples
from git_copilot.assistant.evaluation.scorer import ScoringOptions, evaluate
from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.training.loss import only_positions
from git_copilot.index.core.types import Hole
from tests.support.tiny_models import CODE, save_tiny

MAX_TOKENS = 24


@pytest.fixture(scope="module", params=[False, True], ids=["left-to-right", "fim"])
def model_and_tokenizer(request, tmp_path_factory):
    """(model, tokenizer) in float32, where a batch and a single row can be compared exactly."""
    folder = save_tiny(tmp_path_factory.mktemp("tiny"), fim=request.param)
    return load_model(folder, dtype=torch.float32), TextTokenizer.load(folder)


def examples(tokenizer, count=11, budget=None):
    """Holes of very different lengths."""
    data = (CODE * 4).encode()
    found = []
    for i in range(count):
        start = 7 + i * 37
        hole = Hole(f"c{i}", "b", "m.py", start, start + 1 + 5 * (i % 5), "line", "", 0, "python")
        found.append(
            make_example(tokenizer, cut_blob(data, hole), (), budget or Budget(300, 100, 60))
        )
    return found


def one_by_one(model_and_tokenizer, example):
    trimmer = Trimmer(
        example.prefix, example.suffix, path="m.py", left_to_right=example.prompt.left_to_right
    )
    generation = Engine(*model_and_tokenizer).generate(
        GenerationRequest(
            list(example.prompt_ids),
            Sampling(max_tokens=MAX_TOKENS),
            forced_prefix=example.prompt.forced_prefix,
            should_stop=trimmer.finished,
        )
    )
    return trimmer.trim(generation.text, generation.finish).text


def with_middle(example, middle):
    return dataclasses.replace(example, cut=dataclasses.replace(example.cut, middle=middle))


@pytest.mark.parametrize("batch", [4, None])
def test_evaluation_generates_the_same_text_as_the_engine(model_and_tokenizer, batch):
    found = examples(model_and_tokenizer[1])
    texts = [one_by_one(model_and_tokenizer, e) for e in found]
    assert len(set(texts)) > 3  # else anything would match
    right = [with_middle(e, text) for e, text in zip(found, texts, strict=True)]
    scores = evaluate(
        *model_and_tokenizer, right, ScoringOptions(max_tokens=MAX_TOKENS, batch=batch)
    )
    assert [s.em for s in scores] == [100.0] * len(found)
    wrong = [with_middle(e, text + "x") for e, text in zip(found, texts, strict=True)]
    scores = evaluate(
        *model_and_tokenizer, wrong, ScoringOptions(max_tokens=MAX_TOKENS, batch=batch)
    )
    assert [s.em for s in scores] == [0.0] * len(found)
    assert [s.commit for s in scores] == [e.hole.commit for e in found]


@pytest.mark.parametrize("batch", [3, None])
def test_likelihood_equals_that_of_a_single_plain_forward(model_and_tokenizer, batch):
    model, tokenizer = model_and_tokenizer
    found = examples(tokenizer)
    scores = evaluate(
        *model_and_tokenizer, found, ScoringOptions(max_tokens=1, generate=False, batch=batch)
    )
    for example, score in zip(found, scores, strict=True):
        ids = torch.tensor([example.prompt_ids + example.middle_ids])
        with torch.inference_mode():
            logits = torch.log_softmax(model(ids).logits[0].float(), dim=-1)
        first = len(example.prompt_ids) - 1
        values = [-float(logits[first + i, t]) for i, t in enumerate(example.middle_ids)]
        assert score.tokens == len(values) - 1
        assert score.nll == pytest.approx(sum(values[:-1]), abs=1e-3)
        assert score.end_nll == pytest.approx(values[-1], abs=1e-3)
        assert (score.em, score.es) == (0, 0)


def test_scores_do_not_depend_on_the_batch_size(model_and_tokenizer):
    found = examples(model_and_tokenizer[1])
    small = evaluate(*model_and_tokenizer, found, ScoringOptions(max_tokens=8, batch=1))
    large = evaluate(*model_and_tokenizer, found, ScoringOptions(max_tokens=8, batch=11))
    singly = evaluate(*model_and_tokenizer, found, ScoringOptions(max_tokens=8))
    for one, other in [*zip(small, large, strict=True), *zip(small, singly, strict=True)]:
        assert (one.em, one.es, one.tokens) == (other.em, other.es, other.tokens)
        assert one.nll == pytest.approx(other.nll, abs=1e-3)


def test_batches_group_similar_lengths(model_and_tokenizer):
    found = examples(model_and_tokenizer[1])
    batches = group(found, 4)
    assert sorted(i for b in batches for i in b) == list(range(len(found)))
    lengths = [[len(found[i].prompt_ids) for i in b] for b in batches]
    assert all(min(a) >= max(b) for a, b in pairwise(lengths))


def test_logits_of_selected_positions_equal_those_of_the_full_forward(model_and_tokenizer):
    model, _ = model_and_tokenizer
    ids = torch.arange(20).reshape(2, 10)
    mask = torch.zeros(2, 10, dtype=torch.bool)
    mask[0, 3] = mask[1, 5:7] = True
    with torch.inference_mode():
        whole = model(ids).logits
        with only_positions(model) as choose:
            choose(mask)
            assert torch.allclose(model(ids).logits, whole[mask], atol=1e-5)
        assert torch.equal(model(ids).logits, whole)


def test_regression_check_holes_come_from_the_standard_library_and_are_fixed(model_and_tokenizer):
    found = guard_examples(model_and_tokenizer[1])
    assert len(found) >= 20
    assert found == guard_examples(model_and_tokenizer[1])
    assert all(len(e.prompt_ids) <= 320 for e in found)


def test_without_standard_library_sources_the_regression_check_passes_empty(
    model_and_tokenizer, monkeypatch, tmp_path
):
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(tmp_path)})
    assert guard_examples(model_and_tokenizer[1]) == []
    empty = check_regression([], [])
    assert (empty.holes, empty.passed) == (0, True)


@pytest.mark.parametrize(
    ("middle", "end", "passed"),
    [
        (1.0, 1.0, True),
        (1.04, 1.0, True),
        (1.06, 1.0, False),
        (1.06, 0.0, False),
        (0.9, 9.0, False),
    ],
)
def test_the_regression_check_judges_code_and_end_token_separately(middle, end, passed):
    base = [Score("stdlib", 0, 0, 20.0, 2.0, 10)] * 5
    after = [Score("stdlib", 0, 0, 20.0 * middle, 2.0 * end, 10)] * 5
    assert check_regression(base, after).passed is passed
