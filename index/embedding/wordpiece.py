"""Tokenises source code for a static embedding, with a cache of words.

Tokenisers split text into words and then each word by itself, and code repeats its words. Caching
the tokens of each word takes a fraction of the time of tokenising every chunk (bench/embed.py), and
gives the same tokens.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

# How a BERT tokeniser splits lower-case ASCII text. Other text is left to the tokeniser itself, as
# are control characters, which it drops within words.
_BERT_WORD = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")
_BERT_TEXT = re.compile(r"[\t\n\r -~]*\Z")
# The words of about a million lines; a fuller cache is cleared.
MAX_WORDS = 200_000


class WordTokenizer:
    """The token ids that ``tokenizer`` (of the ``tokenizers`` library) gives."""

    def __init__(self, tokenizer: Any, unknown: int | None) -> None:
        """
        :param unknown: the id of tokens to leave out.
        """
        self._tokenizer = tokenizer
        self._unknown = unknown
        self._ids: dict[str, tuple[int, ...]] = {}
        facts = json.loads(tokenizer.to_str())
        self._special = [token["content"] for token in facts["added_tokens"]]
        self._words = _cutter(facts)

    def tokens(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        """The token ids of each text, without special tokens, at most ``limit``."""
        found: list[list[int] | None] = [self._known(text, limit) for text in texts]
        rest = [i for i, ids in enumerate(found) if ids is None]
        for i, ids in zip(rest, self._ask([texts[i] for i in rest], limit), strict=True):
            found[i] = ids
        return [ids for ids in found if ids is not None]

    def _known(self, text: str, limit: int) -> list[int] | None:
        if not text.isascii() or any(token in text for token in self._special):
            return None
        words = self._words(text)
        if words is None:
            return None
        try:
            ids = list(chain.from_iterable(map(self._ids.__getitem__, words)))
        except KeyError:
            self._learn(words)
            ids = list(chain.from_iterable(map(self._ids.__getitem__, words)))
        return self._without_unknown(ids[:limit])

    def _without_unknown(self, ids: list[int]) -> list[int]:
        return [i for i in ids if i != self._unknown] if self._unknown in ids else ids

    def _learn(self, words: Sequence[str]) -> None:
        if len(self._ids) > MAX_WORDS:
            self._ids.clear()
        new = [word for word in dict.fromkeys(words) if word not in self._ids]
        self._tokenizer.no_truncation()
        for word, encoding in zip(new, self._encode(new), strict=True):
            self._ids[word] = tuple(encoding.ids)

    def _ask(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        if not texts:
            return []
        self._tokenizer.enable_truncation(limit)
        return [self._without_unknown(encoding.ids) for encoding in self._encode(texts)]

    def _encode(self, texts: Sequence[str]) -> Any:
        return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)


def _cutter(facts: dict[str, Any]) -> Callable[[str], list[str] | None]:
    """A function that splits ASCII text into words as a tokeniser's pre-tokeniser does, or returns
    ``None`` if it cannot.

    :param facts: the tokeniser's JSON description.
    """
    normalizer, cutter, model = (
        facts[key] or {} for key in ("normalizer", "pre_tokenizer", "model")
    )
    kinds = normalizer.get("type"), cutter.get("type")
    if kinds == ("BertNormalizer", "BertPreTokenizer") and model.get("type") == "WordPiece":
        if normalizer.get("lowercase") and normalizer.get("clean_text"):
            return lambda text: _BERT_WORD.findall(text.lower()) if _BERT_TEXT.match(text) else None
    elif kinds == (None, "Split") and model.get("type") in ("BPE", "WordPiece", "WordLevel"):
        expression = cutter.get("pattern", {}).get("Regex", "(")
        if (cutter.get("behavior"), cutter.get("invert")) == ("Removed", True):
            with contextlib.suppress(re.error):  # an expression of another dialect
                pattern = re.compile(expression)
                return pattern.findall if not pattern.groups else lambda text: None
    return lambda text: None
