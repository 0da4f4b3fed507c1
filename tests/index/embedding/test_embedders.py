"""Any sentence-transformers model embeds: a tiny real one, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from git_copilot.index.embedding.embedders import TransformerEmbedder, load_embedder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "def", "area", "width", "height", "return", "cart"]
    plain = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    bert = tmp_path_factory.mktemp("bert")
    PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(bert)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(bert)
    body = Transformer(str(bert))
    saved = tmp_path_factory.mktemp("embedder")
    SentenceTransformer(modules=[body, Pooling(16)], device="cpu").save(str(saved))
    return saved


def test_a_transformer_embedder_loads_from_its_folder_and_gives_unit_vectors(folder):
    embedder = load_embedder("tiny", folder)
    assert isinstance(embedder, TransformerEmbedder)
    assert (embedder.name, embedder.dimensions) == ("tiny", 16)
    vectors = embedder.encode(["def area width height", "return cart", "def area width height"])
    assert vectors.shape == (3, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-5)
    assert vectors[0] @ vectors[1] < 0.999


def test_embedding_no_texts_gives_an_empty_array(folder):
    assert load_embedder("tiny", folder).encode([]).shape == (0, 16)
