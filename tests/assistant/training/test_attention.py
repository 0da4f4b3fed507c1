"""Our training attention has the same outputs and gradients as transformers' eager attention."""

from __future__ import annotations

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.training import attention
from git_copilot.assistant.training.attention import NAME, use_causal_attention
from tests.support.tiny_models import save_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def gradients(model, ids):
    model.zero_grad()
    logits = model(ids, use_cache=False).logits
    (logits.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None])).sum().backward()
    return logits.detach(), {n: p.grad.clone() for n, p in model.named_parameters()}


# One block, several whole ones, and a last one that is not full.
@pytest.mark.parametrize(("length", "block"), [(12, 256), (24, 8), (27, 8), (1, 8)])
def test_outputs_and_gradients_equal_those_of_eager_attention(folder, monkeypatch, length, block):
    monkeypatch.setattr(attention, "BLOCK", block)
    ids = torch.randint(0, 300, (3, length), generator=torch.Generator().manual_seed(length))
    eager, ours = (load_model(folder, dtype=torch.float32) for _ in range(2))
    eager.set_attn_implementation("eager")
    assert use_causal_attention(ours)
    assert ours.config._attn_implementation == NAME
    logits, grads = gradients(eager, ids)
    our_logits, our_grads = gradients(ours, ids)
    torch.testing.assert_close(our_logits, logits, rtol=1e-4, atol=1e-4)
    for name, grad in grads.items():
        torch.testing.assert_close(our_grads[name], grad, rtol=2e-3, atol=2e-3, msg=name)


def test_a_position_does_not_attend_to_later_tokens(folder):
    model = load_model(folder, dtype=torch.float32)
    use_causal_attention(model)
    ids = torch.arange(20)[None]
    changed = ids.clone()
    changed[0, 11:] = 7
    with torch.inference_mode():
        before, after = (model(x, use_cache=False).logits[0, :11] for x in (ids, changed))
    torch.testing.assert_close(after, before)


def test_a_sliding_window_model_keeps_its_own_attention():
    config = MistralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, sliding_window=4,
    )  # fmt: skip
    model = MistralForCausalLM(config)
    kept = model.config._attn_implementation
    assert not use_causal_attention(model)
    assert model.config._attn_implementation == kept
