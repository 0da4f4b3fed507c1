"""The blockwise loss equals torch's cross entropy, gradients included."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.training import loss
from git_copilot.assistant.training.loss import has_plain_head, weighted_loss
from tests.support.tiny_models import save_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = load_model(save_tiny(tmp_path_factory.mktemp("tiny")), dtype=torch.float32)
    model.get_output_embeddings().weight.requires_grad_(False)
    return model


def batch():
    generator = torch.Generator().manual_seed(3)
    ids, targets = torch.randint(0, 300, (2, 4, 20), generator=generator)
    weights = torch.rand(4, 20, generator=generator)
    return ids, targets, weights * (weights > 0.3)


def gradients(model, value):
    model.zero_grad()
    value.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


# Blocks that do not fill up, that fit exactly, and one for all.
@pytest.mark.parametrize("rows", [7, 11, 1000])
def test_blockwise_loss_and_gradients_equal_cross_entropy(model, monkeypatch, rows):
    monkeypatch.setattr(loss, "ROWS", rows)
    assert has_plain_head(model)
    ids, targets, weights = batch()
    logits = model(ids, use_cache=False).logits
    each = functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    expected = (each * weights).sum()
    found = weighted_loss(model, ids, targets, weights)
    torch.testing.assert_close(found, expected)
    wanted, got = gradients(model, expected), gradients(model, found * 1.0)
    assert got.keys() == wanted.keys()
    for name, grad in wanted.items():
        torch.testing.assert_close(got[name], grad, rtol=1e-4, atol=1e-4, msg=name)


def test_scaling_the_loss_scales_its_gradients(model):
    once = gradients(model, weighted_loss(model, *batch()))
    twice = gradients(model, 2 * weighted_loss(model, *batch()))
    for name, grad in once.items():
        torch.testing.assert_close(twice[name], 2 * grad, msg=name)


def test_a_token_that_is_left_out_has_no_part_in_the_loss(model):
    ids, targets, weights = batch()
    excluded = torch.full_like(targets, -1)
    excluded[:, ::2] = torch.where(targets[:, ::2] == 7, -1, 7)
    logits = model(ids, use_cache=False).logits
    logits = torch.where(
        (excluded == 7)[..., None] & (torch.arange(logits.shape[-1]) == 7), -torch.inf, logits
    )
    each = functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    expected = (each * weights).sum()
    found = weighted_loss(model, ids, targets, weights, excluded)
    torch.testing.assert_close(found, expected)
    wanted, got = gradients(model, expected), gradients(model, found)
    for name, grad in wanted.items():
        torch.testing.assert_close(got[name], grad, rtol=1e-4, atol=1e-4, msg=name)
