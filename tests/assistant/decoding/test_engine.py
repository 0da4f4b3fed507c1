"""The text does not depend on caches or speculation, whichever backend runs the model."""

from __future__ import annotations

import itertools

import pytest
import torch
from transformers import AutoModelForCausalLM, GraniteMoeHybridConfig, Starcoder2Config

from git_copilot.assistant.backend.llama import LlamaDecoder
from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.backend.transformers_backend import TransformersBackend
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from tests.support.left_to_right_model import LONG, plain_folder, plain_tokenizer  # noqa: F401 - fixtures
from tests.support.tiny_models import CODE

SMALL = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.2, "bos_token_id": None,
}  # fmt: skip


def other_model(config_class, tokenizer, **more):
    """A model of an architecture that only transformers runs."""
    torch.manual_seed(5)
    size = len(tokenizer._vocabulary)
    config = config_class(**SMALL, **more, vocab_size=size, eos_token_id=tokenizer.end_id)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


@pytest.fixture(scope="module", params=["ours", "transformers", "sliding", "recurrent"])
def model(request, folder, tokenizer):
    if request.param == "ours":
        return load_model(folder, dtype=torch.float32)
    if request.param == "recurrent":  # Granite 4: its state cannot go back
        return other_model(
            GraniteMoeHybridConfig, tokenizer, layer_types=["mamba", "attention"],
            mamba_n_heads=8, mamba_d_head=8, mamba_expand=2, mamba_d_state=16,
            num_local_experts=0, shared_intermediate_size=48,
        )  # fmt: skip
    window = 24 if request.param == "sliding" else None
    return other_model(Starcoder2Config, tokenizer, sliding_window=window)


@pytest.fixture
def engine(model, tokenizer):
    return Engine(model, tokenizer)


def plainly(model, tokenizer, prompt, count):
    """The output of transformers' own generate()."""
    with torch.inference_mode():
        found = model.generate(
            torch.tensor([prompt]),
            max_new_tokens=count,
            do_sample=False,
            eos_token_id=sorted(tokenizer.end_ids),
            pad_token_id=tokenizer.end_id,
        )
    ids = found[0, len(prompt) :].tolist()
    ends = [i for i, token in enumerate(ids) if token in tokenizer.end_ids]
    return tokenizer.decode(ids[: ends[0]] if ends else ids).removesuffix("\ufffd")


def prompts(tokenizer, count=6):
    ids = tokenizer.encode(CODE * 3)
    return [ids[i * 5 : 60 + 31 * i] for i in range(count)]


def test_the_text_equals_that_of_transformers_generate(engine, model, tokenizer):
    texts = [engine.generate(GenerationRequest(p, LONG)).text for p in prompts(tokenizer)]
    assert texts == [plainly(model, tokenizer, p, LONG.max_tokens) for p in prompts(tokenizer)]
    assert len(set(texts)) > 2


def test_only_the_tiny_llama_runs_on_our_own_decoder(model, engine):
    own = model.config.model_type == "llama"
    assert isinstance(engine.backend, LlamaDecoder if own else TransformersBackend)
    assert engine.speculative is (model.config.model_type != "granitemoehybrid")


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_speculation_does_not_change_the_text(engine, tokenizer, temperature):
    drafted = 0
    for seed, prompt in enumerate(prompts(tokenizer)):
        sampling = Sampling(max_tokens=40, temperature=temperature, seed=seed)
        guessing = engine.generate(GenerationRequest(prompt, sampling))
        engine.speculative, guesses = False, engine.speculative
        without = engine.generate(GenerationRequest(prompt, sampling))
        engine.speculative = guesses
        assert (guessing.text, guessing.finish, guessing.tokens) == (
            without.text, without.finish, without.tokens,
        )  # fmt: skip
        assert without.drafted == 0
        drafted += guessing.drafted
    if not temperature:  # chance seldom repeats itself
        assert bool(drafted) is engine.speculative


def test_typing_prefills_only_the_new_tokens(engine, model, tokenizer):
    ids = tokenizer.encode(CODE * 4)
    first = engine.generate(GenerationRequest(ids[:80], LONG))
    assert first.cached_tokens == 0
    typed = engine.generate(GenerationRequest(ids[:83], LONG))
    again = engine.generate(GenerationRequest(ids[:83], LONG))
    assert typed.cached_tokens == (80 if engine.speculative else 0)
    assert again.cached_tokens == (83 if engine.speculative else 0)
    fresh = Engine(model, tokenizer).generate(GenerationRequest(ids[:83], LONG))
    assert typed.text == again.text == fresh.text
    back = engine.generate(GenerationRequest(ids[:60], LONG))
    assert back.text == Engine(model, tokenizer).generate(GenerationRequest(ids[:60], LONG)).text


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_text_begins_with_the_forced_prefix(engine, tokenizer, temperature):
    ids = tokenizer.encode(CODE * 4)
    for cut, lead in ((30, "self"), (50, "\n    "), (41, "né €"), (60, "x" * 30)):
        seen: list[str] = []
        sampling = Sampling(40, temperature=temperature)
        found = engine.generate(
            GenerationRequest(ids[:cut], sampling, forced_prefix=lead, on_text=seen.append)
        )
        # What the cache holds is what was written, but for the last token.
        whole = tokenizer.decode(engine.slots._slots[-1].ids[cut:]).rstrip("\ufffd")
        assert whole.startswith(lead)
        assert found.text.startswith(whole[len(lead) :])
        assert all(found.text.startswith(text) for text in seen)
    assert (
        engine.generate(GenerationRequest(ids[:30], Sampling(1), forced_prefix="x" * 30)).text == ""
    )


def test_streamed_text_never_splits_a_character(engine, tokenizer):
    for prompt in prompts(tokenizer, 3):
        seen: list[str] = []
        found = engine.generate(
            GenerationRequest(prompt, Sampling(60, temperature=1.0), on_text=seen.append)
        )
        assert seen[-1] == found.text or found.text.startswith(seen[-1])
        assert all(b.startswith(a) and len(b) > len(a) for a, b in itertools.pairwise(seen))
        assert not any(text.endswith("\ufffd") for text in seen)
