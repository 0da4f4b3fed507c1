"""Tokenisation with cached words equals that of the tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from git_copilot.index.embedding.wordpiece import WordTokenizer

PIECES = [
    "a",
    "b",
    "def",
    "self",
    "##s",
    "##e",
    "##l",
    "_",
    "(",
    ")",
    "name",
    "##2",
    "re",
    "##turn",
    "x",
]
VOCABULARY = {piece: i for i, piece in enumerate(["[UNK]", *PIECES])}
CUT = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+"


def bert():
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def split():
    vocabulary = {c: i for i, c in enumerate(["[UNK]", *"abdefilnorst", "de", "def", "Se", "S"])}
    merges = [("d", "e"), ("de", "f"), ("S", "e")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(CUT), "removed", invert=True)
    return tokenizer


def whole():
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.mark.slow
@pytest.mark.parametrize("make", [bert, split, whole])
@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from([
                "def ", "self", "Self", "returns", "_", "(x)", "\n", "\t", "name2", "ABc", "é", "İ",
                "中", "\x0c", "\x00", "\x7f", "\x1c", "[UNK]", "9", "zz" * 60, " ", "\r\n", "'",
            ]),
            max_size=12,
        ).map("".join),
        max_size=5,
    ),
    st.sampled_from([1, 3, 512]),
)  # fmt: skip
@example(["self self", "Self"], 512)
def test_cached_tokenisation_equals_the_tokenizers(make, texts, limit):
    ours = WordTokenizer(make(), 0)
    plain = make()
    plain.enable_truncation(limit)
    wanted = [
        [i for i in encoding.ids if i != 0]
        for encoding in plain.encode_batch_fast(texts, add_special_tokens=False)
    ]
    assert ours.tokens(texts, limit) == wanted
    assert ours.tokens(texts[::-1], limit) == wanted[::-1]


@pytest.mark.parametrize("make", [bert, split])
def test_each_word_is_tokenised_once(make):
    ours = WordTokenizer(make(), 0)
    (first,) = ours.tokens(["def self"], 512)
    ours._tokenizer = None  # whoever asks it now fails
    assert ours.tokens(["def self", "def  self\n"], 512) == [first, first]


def test_the_word_cache_is_bounded(monkeypatch):
    monkeypatch.setattr("git_copilot.index.embedding.wordpiece.MAX_WORDS", 3)
    ours = WordTokenizer(bert(), 0)
    for i in range(9):
        ours.tokens([f"a{i} b{i}"], 512)
    assert len(ours._ids) <= 5
