"""Real implementations that are small enough for tests."""

from __future__ import annotations

import hashlib

import numpy as np

from git_copilot.index.text.terms import terms


class HashingEmbedder:
    """A bag of hashed words: texts that share words are close. Records what it encodes."""

    name = "hashing-test"
    dimensions = 64

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts):
        self.encoded.extend(texts)
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in terms(text):
                digest = hashlib.sha256(word.encode()).digest()
                row[digest[0] % self.dimensions] += 1 if digest[1] % 2 else -1
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths == 0, 1, lengths)
