"""A tokenizer that never reads control tokens out of a user's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from git_copilot.assistant.fim import FimFormat, detect_fim, family_of
from git_copilot.index.errors import ModelError


class TextTokenizer:
    """Text to ids and back. Control tokens go in only by :meth:`control`."""

    def __init__(self, tokenizer: Any, model_name: str = "") -> None:
        """:param tokenizer: a fast tokenizer of transformers."""
        self._fast = tokenizer.backend_tokenizer
        # A file that contains "<|endoftext|>" must not end the prompt.
        self._fast.encode_special_tokens = True
        self._vocabulary: dict[str, int] = self._fast.get_vocab(with_added_tokens=True)
        self._eos: int | None = tokenizer.eos_token_id
        self.fim: FimFormat | None = detect_fim(self._vocabulary, family_of(model_name))

    @classmethod
    def load(cls, folder: Path, model_name: str = "") -> TextTokenizer:
        """Read the tokenizer of a model's folder.

        :raises ModelError: it is missing or damaged.
        """
        from transformers import AutoTokenizer

        try:
            return cls(AutoTokenizer.from_pretrained(folder), model_name or folder.name)
        except (OSError, ValueError, AttributeError) as exc:
            raise ModelError(
                f"the tokenizer in {folder} cannot be read ({str(exc).splitlines()[0]})",
                "pull the model again",
            ) from exc

    def encode(self, text: str) -> list[int]:
        """Ids of ``text`` as plain text, without anything added."""
        # A path may hold bytes that are no UTF-8 (as lone surrogates); the tokenizer takes none.
        clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return list(self._fast.encode(clean, add_special_tokens=False).ids)

    def decode(self, ids: list[int]) -> str:
        """Text of ``ids``; control tokens give nothing, an unfinished character a mark."""
        return str(self._fast.decode(ids, skip_special_tokens=True))

    def spell(self, ids: list[int]) -> str:
        """Text of ``ids`` with the control tokens written out."""
        return str(self._fast.decode(ids, skip_special_tokens=False))

    def control(self, token: str) -> int:
        """The id of a control token.

        :raises KeyError: the vocabulary has none of that name.
        """
        return self._vocabulary[token]

    @property
    def end_id(self) -> int:
        """The token that ends a completion; training appends it to every middle."""
        if self.fim:
            for end in self.fim.ends:
                if end in self._vocabulary:
                    return self._vocabulary[end]
        for name in ("<|endoftext|>", "</s>"):
            if name in self._vocabulary:
                return self._vocabulary[name]
        if self._eos is None:
            raise ModelError("the tokenizer has no end token", "choose another model")
        return self._eos

    @property
    def end_ids(self) -> frozenset[int]:
        """Every token at which a completion stops."""
        names = self.fim.ends if self.fim else ()
        extra = {self._vocabulary[n] for n in names if n in self._vocabulary}
        eos = set() if self._eos is None else {self._eos}
        return frozenset({self.end_id} | extra | eos)
