"""One pass over a prompt gives the likelihood and the text of serving."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.evaluation import one_pass
from git_copilot.assistant.evaluation.batched_scoring import indentation_for, trimmer_for
from git_copilot.assistant.evaluation.one_pass import OnePassScorer
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from tests.support.copy_weights import ALWAYS, HALF, NEVER
from tests.support.tiny_models import CODE, UNFINISHED, save_tiny

MAX_TOKENS = 16
# With a reward for tokens there is a search for a likelier line.
SEARCHING = dataclasses.replace(NEVER, token_reward=0.5)


@pytest.fixture(scope="module", params=[False, True], ids=["left-to-right", "fim"])
def tiny(request, tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp("tiny"), fim=request.param)
    return load_model(folder, dtype=torch.float32), TextTokenizer.load(folder)


def examples(tokenizer, count=14):
    data = (CODE * 4 + UNFINISHED).encode()
    cuts = [
        cut_blob(data, Hole("c", "b", "m.py", s, s + 3 + s % 9, "line", "", 0, "python"))
        for s in range(120, 120 + 31 * count, 31)
    ]
    return [make_example(tokenizer, cut, (), Budget(240, 0, 40)) for cut in cuts]


def served(tiny, example, copying, alternatives):
    """Likelihood and text of an engine that does nothing else."""
    engine = Engine(*tiny, copying=copying)
    nll = engine.likelihood(
        example.prompt_ids,
        example.middle_ids,
        forced_prefix=example.prompt.forced_prefix,
        copy_context=example.copy_context,
    )
    trimmer, indentation = trimmer_for(example), indentation_for(example)
    written = Engine(*tiny, copying=copying).generate(
        GenerationRequest(
            example.prompt_ids,
            Sampling(MAX_TOKENS, alternatives=alternatives),
            example.prompt.forced_prefix,
            example.copy_context,
            should_stop=indentation.until(trimmer.finished),
        )
    )
    kept = trimmer.trim(
        indentation.apply(written.text), written.finish, empty_margin=written.empty_margin
    )
    return nll, written, kept.text


class Forwards:
    """Counts the tokens of each forward pass."""

    def __init__(self, monkeypatch, engine):
        self.sizes = []
        forward, read = engine.backend.forward, engine.backend.read

        def counted(cache, ids, wanted):
            self.sizes.append(len(ids))
            return forward(cache, ids, wanted)

        def counted_part(cache, ids, interrupted):
            found = read(cache, ids, interrupted)
            self.sizes.append(found[0])
            return found

        monkeypatch.setattr(engine.backend, "forward", counted)
        monkeypatch.setattr(engine.backend, "read", counted_part)


@pytest.mark.parametrize("copying", [None, HALF, ALWAYS, SEARCHING])
@pytest.mark.parametrize("alternatives", [0, 12])
def test_likelihood_and_text_are_those_of_serving(tiny, copying, alternatives):
    scorer = OnePassScorer(Engine(*tiny, copying=copying))
    texts = set()
    for example in examples(tiny[1]):
        nll, written, text = served(tiny, example, copying, alternatives)
        sampling = Sampling(MAX_TOKENS, alternatives=alternatives)
        # As it is, and with a middle that the model writes by itself.
        reproduced = with_middle(example, written.text, written.ids, tiny[1])
        for given in (example, reproduced):
            found, made = scorer.score(given, given.prompt.forced_prefix, sampling)
            assert made.text == text
            if given is example:
                assert found == pytest.approx(nll, abs=1e-3)
        texts.add(text)
    assert len(texts) > 4  # else anything would match


def with_middle(example, text, ids, tokenizer):
    ids = (*ids, tokenizer.end_id)
    cut = dataclasses.replace(example.cut, middle=text)
    return dataclasses.replace(example, cut=cut, middle_ids=ids)


def test_a_prompt_is_read_once_for_likelihood_and_text(tiny, monkeypatch):
    scorer = OnePassScorer(Engine(*tiny))
    counted = Forwards(monkeypatch, scorer.engine)
    for example in examples(tiny[1]):
        counted.sizes.clear()
        scorer.score(example, example.prompt.forced_prefix, Sampling(MAX_TOKENS))
        prompt, middle = len(example.prompt_ids), len(example.middle_ids)
        assert prompt > 2 * middle
        read = 0
        while read < prompt:
            read += counted.sizes.pop(0)
        assert read == prompt
        assert counted.sizes[0] == middle - 1 or middle == 1
        assert all(size <= 8 for size in counted.sizes[1:])  # single tokens with their drafts


@pytest.mark.parametrize("clear", [True, False])
def test_nothing_is_decoded_where_the_model_clearly_writes_the_middle(tiny, monkeypatch, clear):
    if not clear:  # nothing is as clear as that
        monkeypatch.setattr(one_pass, "CLEAR_NATS", 1e9)
    reference = Engine(*tiny)
    scorer = OnePassScorer(Engine(*tiny))
    counted = Forwards(monkeypatch, scorer.engine)
    undecoded = 0
    for example in examples(tiny[1]):
        plain = GenerationRequest(example.prompt_ids, Sampling(3), example.prompt.forced_prefix)
        made = reference.generate(plain)
        right = with_middle(example, made.text, made.ids, tiny[1])
        wrong = with_middle(example, made.text, made.ids[1:], tiny[1])
        for given in (right, wrong):
            counted.sizes.clear()
            scorer.score(given, given.prompt.forced_prefix, Sampling(3), stop_early=False)
            read = 0
            while read < len(given.prompt_ids):
                read += counted.sizes.pop(0)
            if given is right:
                # A forced prefix leaves no choice.
                undecoded += len(counted.sizes) == 1 and not given.prompt.forced_prefix
            else:
                assert len(counted.sizes) > 1
    assert (undecoded > 0) is clear


def test_the_result_does_not_depend_on_earlier_examples_nor_on_the_draft(tiny):
    found = examples(tiny[1])
    sampling = Sampling(MAX_TOKENS)

    def scores(order, draft=()):
        scorer = OnePassScorer(Engine(*tiny))
        return {
            i: scorer.score(found[i], found[i].prompt.forced_prefix, sampling, draft=draft)
            for i in order
        }

    forwards = scores(range(len(found)))
    assert scores(reversed(range(len(found)))) == forwards
    assert scores(range(len(found)), draft=(5, 6, 7)) == forwards
