"""The engine copies nearby text where the copy model is confident, and names the source."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.decoding.copy_weights import NAME
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import CopyContext, GenerationRequest, Sampling
from git_copilot.assistant.evaluation.scorer import ScoringOptions, evaluate
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.index.core.types import Hole
from tests.support.copy_weights import ALWAYS, HALF, NEVER, OTHER
from tests.support.tiny_models import CODE, UNFINISHED


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder, dtype=torch.float32)


def written(engine, tokenizer, context, **more):
    prompt = tokenizer.encode("# own.py\n" + context.prefix)
    return engine.generate(
        GenerationRequest(prompt, Sampling(max_tokens=24), copy_context=context, **more)
    )


def test_a_trusted_match_is_copied_and_its_source_named(model, tokenizer):
    context = CopyContext(
        "own.py", "def f(basket):\n        return basket.sub", "\n", (("c.py", OTHER),)
    )
    alone = written(Engine(model, tokenizer), tokenizer, context)
    assert alone.copied == () and "self.duty" not in alone.text
    found = written(Engine(model, tokenizer, copying=ALWAYS), tokenizer, context)
    assert found.text.startswith("total + self.duty")
    assert set(found.copied[:8]) == {"c.py"}
    never = written(Engine(model, tokenizer, copying=NEVER), tokenizer, context)
    assert (never.text, never.copied) == (alone.text, ())


def test_a_completion_within_a_line_stays_on_one_line(model, tokenizer):
    context = CopyContext("own.py", "x = basket.subt", "", (("c.py", f"{OTHER}{OTHER}"),))
    longer = written(Engine(model, tokenizer, copying=ALWAYS), tokenizer, context)
    assert longer.text.startswith("otal + self.duty\nclass")
    weights = dataclasses.replace(ALWAYS, line_end=math.inf)
    line = written(Engine(model, tokenizer, copying=weights), tokenizer, context)
    assert (line.text, line.finish) == ("otal + self.duty", "stop")
    assert line.ids == longer.ids[: len(line.ids)]
    prompt = tokenizer.encode("# own.py\nx = basket.")
    engine = Engine(model, tokenizer, copying=weights)
    request = GenerationRequest(prompt, Sampling(24), copy_context=context, forced_prefix="subt")
    healed = engine.generate(request)
    assert healed.text == "otal + self.duty"
    (beside,) = engine.generate_many([request])
    assert beside.text == "otal + self.duty"


@pytest.mark.parametrize("weights", [HALF, ALWAYS])
def test_speculation_does_not_change_copied_text(model, tokenizer, weights):
    context = CopyContext(
        "own.py", CODE[: len(CODE) // 2], CODE[len(CODE) // 2 :], (("c.py", OTHER),)
    )
    quick, slow = (Engine(model, tokenizer, copying=weights) for _ in range(2))
    slow.speculative = False
    first, second = (written(e, tokenizer, context) for e in (quick, slow))
    assert (first.ids, first.copied) == (second.ids, second.copied)


def test_batched_candidates_copy_too(model, tokenizer):
    engine = Engine(model, tokenizer, copying=ALWAYS)
    context = CopyContext("own.py", "x = basket.subtotal", "\n", (("c.py", OTHER),))
    prompt = tokenizer.encode(context.prefix)
    request = GenerationRequest(prompt, Sampling(max_tokens=6), copy_context=context)
    many = engine.generate_many([request, request])
    one = engine.generate(request)
    assert [m.ids for m in many] == [one.ids, one.ids]
    assert set(many[0].copied) == {"c.py"}


def test_the_forced_prefix_is_completed_before_copying_begins(model, tokenizer):
    context = CopyContext("own.py", "x = basket.subt", "\n", (("c.py", OTHER),))
    engine = Engine(model, tokenizer, copying=ALWAYS)
    prompt = tokenizer.encode("x = basket.")
    found = engine.generate(
        GenerationRequest(
            prompt, Sampling(max_tokens=16), forced_prefix="subt", copy_context=context
        )
    )
    assert found.text.startswith("otal + self")
    assert set(found.copied) == {"c.py"}


def test_evaluation_counts_copied_tokens(model, tokenizer):
    gap = "".join(f"LIMIT_{i} = {i}\n" for i in range(40))  # no prompt reaches beyond it
    text = f"{OTHER}{gap}def more(self, basket):\n    return basket.subtotal + self.duty\n"
    text += UNFINISHED
    start = text.rindex(" + self.duty")
    hole = Hole("c", "b", "m.py", start, start + len(" + self.duty"), "line", "", 0, "python")
    example = make_example(tokenizer, cut_blob(text.encode(), hole), (), Budget(120, 0, 40))
    plain, copied = (
        evaluate(model, tokenizer, [example], ScoringOptions(max_tokens=16, copying=weights))[0]
        for weights in (None, ALWAYS)
    )
    assert copied.nll < plain.nll / 10
    assert copied.end_nll == pytest.approx(plain.end_nll, abs=1e-3)
    assert copied.es > plain.es


def test_copying_can_be_switched_off(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "model")
    facts = dataclasses.asdict(ALWAYS)
    (copy / NAME).write_text(json.dumps(facts))
    context = CopyContext("own.py", "x = basket.subtotal", "\n", (("c.py", OTHER),))
    on, off = (Engine.load(copy, copying=copying) for copying in (True, False))
    assert written(on, on.tokenizer, context).copied
    assert not written(off, off.tokenizer, context).copied
