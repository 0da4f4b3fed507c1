"""What the lines of a text cost, for the confidence in them."""

from __future__ import annotations

import pytest
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from tests.support.copy_weights import HALF


@pytest.fixture
def engine(folder, tokenizer):
    return Engine(load_model(folder, dtype=torch.float32), tokenizer, copying=HALF)


def test_what_had_to_be_written_costs_nothing(engine, tokenizer):
    prompt = tokenizer.encode("def area(w):\n    return wi")
    begun = "Xq"  # bytes of their own, so that one token is possible at a time
    count = len(tokenizer.encode(begun))
    forced = GenerationRequest(prompt, Sampling(count), forced_prefix=begun)
    (line,) = engine.generate(forced).lines
    assert line.nats == pytest.approx(0, abs=1e-3) and line.tokens == count
    free = engine.generate(GenerationRequest(prompt, Sampling(count)))
    assert free.lines[-1].nats > 0.5


def test_each_line_has_the_cost_of_the_text_up_to_its_end(engine, tokenizer):
    prompt = tokenizer.encode("def area(w):\n    return w\n")
    made = engine.generate(GenerationRequest(prompt, Sampling(40)))
    assert len(made.lines) == made.text.count("\n") + 1
    nats = [line.nats for line in made.lines]
    tokens = [line.tokens for line in made.lines]
    assert nats == sorted(nats) and tokens == sorted(tokens)
    assert tokens[-1] == made.tokens
