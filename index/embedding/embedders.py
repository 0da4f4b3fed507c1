"""Embedders: a static one for the worker, and any sentence-transformers model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.types import Embedder
from git_copilot.index.embedding.wordpiece import WordTokenizer

if TYPE_CHECKING:
    from git_copilot.index.core.types import Vectors

# Beyond this the mean over tokens loses its meaning; chunks are smaller anyway.
MAX_CHARACTERS = 4000
UNLIMITED = 1 << 20  # tokens, for a model without a limit
# Zipf's law stands in for token frequencies: the vocabulary is sorted by rank.
# SIF weighting, Arora et al. 2017 (https://openreview.net/forum?id=SyK00v5xx).
SIF = 1e-4


def _unit(vectors: Any) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)


class StaticEmbedder:
    """A static embedding (one vector per token, averaged) read by model2vec: no torch, loads in a
    fifth of a second."""

    def __init__(self, name: str, folder: Path) -> None:
        from model2vec import StaticModel

        self._name = name
        try:
            self._model = StaticModel.from_pretrained(str(folder))
        except (OSError, ValueError, KeyError) as exc:
            raise ModelError(
                f"the embedder in {folder} cannot be read ({exc})", "run `git copilot model pull`"
            ) from exc
        self._words = WordTokenizer(self._model.tokenizer, self._model.unk_token_id)
        # Means of float16 take twice as long.
        self._table = np.asarray(self._model.embedding, dtype=np.float32)

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        return int(self._model.dim)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As :meth:`model2vec.StaticModel.encode`, normalised to unit length."""
        model = self._model
        limit = model.max_length or UNLIMITED
        # model2vec clips by characters before it clips by tokens.
        clip = min(MAX_CHARACTERS, limit * model.median_token_length)
        table, mapping, weights = self._table, model.token_mapping, model.weights
        means = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        found = self._words.tokens([text[:clip] for text in texts], limit)
        for row, ids in enumerate(found):
            if ids:
                picked = table[ids if mapping is None else mapping[ids]]
                if weights is not None:
                    picked = picked * weights[ids][:, None]
                means[row] = picked.mean(axis=0)
        return _unit(means)


class TransformerEmbedder:
    """Any sentence-transformers model, by folder or hub name."""

    def __init__(self, name: str, source: str) -> None:
        from sentence_transformers import SentenceTransformer

        self._name = name
        try:
            self._model = SentenceTransformer(source, device="cpu", trust_remote_code=False)
        except (OSError, ValueError) as exc:
            raise ModelError(
                f"the embedder {name} cannot be loaded ({str(exc).splitlines()[0]})",
                "see `git copilot model list`",
            ) from exc

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str]) -> Vectors:
        if not texts:  # sentence-transformers gives one dimension then
            return np.zeros((0, self.dimensions), dtype=np.float32)
        clipped = [text[:MAX_CHARACTERS] for text in texts]
        vectors = self._model.encode(clipped, batch_size=32, show_progress_bar=False)
        return _unit(vectors)


def load_embedder(name: str, folder: Path) -> Embedder:
    """Load the embedder in ``folder``: a static one if it has token vectors only."""
    modules = folder / "modules.json"
    if modules.exists() and "StaticEmbedding" in modules.read_text("utf-8"):
        return StaticEmbedder(name, folder)
    return TransformerEmbedder(name, str(folder))


def principal(vectors: Any, dimensions: int) -> Any:
    """Vectors (n, wide) reduced to their first ``dimensions`` principal components."""
    vectors = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(vectors.T @ vectors, hermitian=True)
    return vectors @ axes[:dimensions].T


def distil_static(source: Path, target: Path, dimensions: int = 256) -> None:
    """Distil a sentence-transformers model into a static embedding and save it to ``target``.

    Every token of the vocabulary is embedded alone by the teacher, the vectors are reduced by
    PCA and weighted by rank, as Model2Vec does (Tulkens & van Dongen 2024,
    https://github.com/MinishLab/model2vec). Takes about ten seconds on two cores.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    teacher = SentenceTransformer(str(source), device="cpu")
    tokenizer = teacher.tokenizer.backend_tokenizer
    vocabulary = tokenizer.get_vocab_size()
    tokens = [tokenizer.id_to_token(i) or "" for i in range(vocabulary)]
    # A word piece stands for its letters; "##" only marks that it continues a word.
    texts = [token.removeprefix("##") for token in tokens]
    vectors = np.asarray(
        teacher.encode(texts, batch_size=512, show_progress_bar=False), dtype=np.float64
    )
    vectors = principal(vectors, dimensions)
    frequency = 1.0 / (np.arange(vocabulary) + 2.0)
    frequency /= frequency.sum()
    vectors *= (SIF / (SIF + frequency))[:, None]
    student = StaticEmbedding(tokenizer, embedding_weights=vectors.astype(np.float32))
    SentenceTransformer(modules=[student], device="cpu").save(str(target))
