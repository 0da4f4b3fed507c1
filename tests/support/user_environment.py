"""Fixtures of a user's machine: the installed scripts on PATH, and tiny models."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.support.commands import BIN

WORDS = ["def", "return", "class", "self", "import", "alpha", "beta", "value", "name", "helper"]


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory):
    """A folder with `lm`, a two-layer Llama over bytes, and `embedder`, of ten words."""
    import torch
    from model2vec import StaticModel
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    base = tmp_path_factory.mktemp("models")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096,
    )  # fmt: skip
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(base / "lm")
    tokenizer.save_pretrained(base / "lm")

    vocabulary = {w: i for i, w in enumerate(["[UNK]", *WORDS])}
    word_level = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    word_level.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), 8)).astype(np.float32)
    StaticModel(vectors, word_level).save_pretrained(base / "embedder")
    return base


@pytest.fixture
def environment(tiny_folders, tmp_path, monkeypatch, hermetic, runtime):
    """Puts the installed scripts on PATH and configures the tiny models for the user."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    config = hermetic / ".gitconfig"
    config.write_text(
        config.read_text()
        + f"[copilot]\n\tmodel = {tiny_folders / 'lm'}\n\tembedder = {tiny_folders / 'embedder'}\n"
        + "\trefreshCommits = 0\n\tmaxTokens = 8\n"
    )
