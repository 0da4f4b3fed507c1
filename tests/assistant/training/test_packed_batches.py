"""A batch as tensors: which tokens are learnt, and from which the end token is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from git_copilot.assistant.training import trainer
from git_copilot.assistant.training.batches import TrainingRecipe, loss_weight, pack
from git_copilot.assistant.training.lora import add_adapter
from git_copilot.index.corpus.windows import WINDOW
from tests.support.training_fixtures import (  # noqa: F401 - fixtures
    fresh,
    tiny_examples,
    tiny_folder,
)


def test_no_middle_is_ever_truncated(examples):
    packed = pack(examples, 256, TrainingRecipe())
    for row, example in enumerate(examples):
        middle = packed.targets[row][packed.weights[row] > 0]
        assert tuple(middle.tolist()) == example.middle_ids
        whole = packed.ids[row, : example.size]
        assert tuple(whole.tolist()) == example.prompt_ids + example.middle_ids


def test_prefix_tokens_can_be_included_in_the_loss(examples):
    recipe = TrainingRecipe(open_weight=0.25, open_tokens=8)
    packed = pack(examples, 256, recipe)
    ids, targets, weights = packed.ids, packed.targets, packed.weights
    for row, example in enumerate(examples):
        first = len(example.prompt_ids) - 1
        learnt = min(8, example.open_tokens, first)
        assert (weights[row] == 0.25).sum() == learnt
        assert (weights[row, first - learnt : first] == 0.25).all()
        assert (weights[row] == 1).sum() == len(example.middle_ids)
        assert targets[row, : example.size - 1].tolist() == ids[row, 1 : example.size].tolist()


def test_the_text_before_a_hole_does_not_teach_that_holes_never_end(examples):
    packed = pack(examples, 256, TrainingRecipe(open_weight=1.0, open_tokens=64))
    for row, example in enumerate(examples):
        first = len(example.prompt_ids) - 1
        opened = min(64, example.open_tokens, first)
        left_out = packed.excluded[row] >= 0
        assert left_out.nonzero().flatten().tolist() == [*range(first - opened, first)]
        assert set(packed.excluded[row][left_out].tolist()) == {example.middle_ids[-1]}


def test_where_a_passage_ends_is_not_learnt(examples):
    recipe = TrainingRecipe(open_weight=1.0, open_tokens=64)
    passages = [replace(e, cut=replace(e.cut, hole=replace(e.hole, kind=WINDOW))) for e in examples]
    packed = pack(passages, 256, recipe)
    for row, example in enumerate(passages):
        first, last = len(example.prompt_ids) - 1, example.size - 2
        opened = min(64, example.open_tokens, first)
        learnt = packed.weights[row].nonzero().flatten().tolist()
        assert learnt == [*range(first - opened, last)]
        assert (packed.excluded[row] >= 0).nonzero().flatten().tolist() == learnt
        assert loss_weight(example, recipe) == len(learnt)


def test_an_end_token_that_the_text_has_is_learnt(examples):
    example = examples[0]
    end = example.middle_ids[-1]
    written = replace(example, prompt_ids=(*example.prompt_ids[:-1], end))
    packed = pack([written], 256, TrainingRecipe(open_weight=1.0, open_tokens=64))
    before = packed.excluded[0, len(written.prompt_ids) - 2]
    assert (before, packed.targets[0, len(written.prompt_ids) - 2]) == (-1, end)


@pytest.mark.parametrize("family", [True, False], ids=["blocks", "whole logits"])
def test_the_loss_of_text_does_not_depend_on_the_end_token(folder, examples, monkeypatch, family):
    monkeypatch.setattr(trainer, "has_plain_head", lambda model: family)
    recipe = TrainingRecipe(rank=4, epochs=1, batch=4, open_weight=1.0, open_tokens=64)
    model = fresh(folder)
    head = model.get_output_embeddings().weight
    end = examples[0].middle_ids[-1]
    state = trainer._TrainingState(add_adapter(model, 4, seed=0).eval(), recipe)
    packed = pack(examples[:4], 256, recipe)
    opened = packed.excluded >= 0
    weights = torch.where(opened, packed.weights, 0.0)  # only the text before the holes
    only_text = replace(packed, weights=weights)
    with trainer.only_positions(state.model.get_base_model()) as choose:
        before = float(trainer._loss(state, only_text, choose).detach())
        with torch.no_grad():
            head[end] *= 50  # an end token that would dominate every distribution
        after = float(trainer._loss(state, only_text, choose).detach())
    assert after == pytest.approx(before, rel=1e-5)
