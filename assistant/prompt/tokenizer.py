"""A tokenizer that never reads control tokens out of a user's text."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from git_copilot.assistant.prompt.fim import FimFormat, detect_fim, family_of
from git_copilot.index.core.errors import ModelError

AUTO, NONE = "auto", "none"
# What encode_infilling() puts before a text: a character that no other is likely to be merged with.
ANCHOR = "\u263a"
# transformers' classes that add nothing to tokenizer.json, and what their configuration may say that
# changes nothing of what is encoded.
PLAIN_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
PLAIN_KEYS = frozenset(
    {
        "backend", "bos_token", "clean_up_tokenization_spaces", "eos_token", "is_local",
        "local_files_only", "model_max_length", "pad_token", "tokenizer_class", "unk_token",
    }
)  # fmt: skip


class TextTokenizer:
    """Text to ids and back. Control tokens go in only by :meth:`control`.

    Text is encoded as it stands inside a file: tokenizers of the SentencePiece kind put a space
    before every text and take one off when they decode, which would be wrong behind a control
    token and in the middle of a line (encode_infilling() in meta-llama/codellama does the same).
    """

    def __init__(self, tokenizer: Any, model_name: str = "", fim: str = AUTO) -> None:
        """:param tokenizer: a fast tokenizer of transformers.
        :param fim: the family whose format is taken; ``"auto"``: as the tokens say.
        :raises ModelError: the vocabulary lacks that family's tokens."""
        self._fast = tokenizer.backend_tokenizer
        # A file that contains "<|endoftext|>" must not end the prompt.
        self._fast.encode_special_tokens = True
        self._vocabulary: dict[str, int] = self._fast.get_vocab(with_added_tokens=True)
        self._eos: int | None = tokenizer.eos_token_id
        self._anchor: list[int] = []
        self._anchor = self._find_anchor()
        self.fim: FimFormat | None = self._choose(model_name, fim)
        self.begin_ids: tuple[int, ...] = self._begin(tokenizer)

    def _choose(self, model_name: str, family: str) -> FimFormat | None:
        if family == AUTO:
            return detect_fim(self._vocabulary, family_of(model_name))
        found = None if family == NONE else detect_fim(self._vocabulary, family)
        if found is None and family != NONE:
            raise ModelError(
                f"the model's vocabulary has no tokens of {family}",
                "unset `copilot.fim`, or choose the family that the model belongs to",
            )
        return found

    def _begin(self, tokenizer: Any) -> tuple[int, ...]:
        """What stands before every text: the family's first token, or the tokenizer's own."""
        if self.fim is not None and self.fim.begin:
            return (self._vocabulary[self.fim.begin],)
        first = list(self._fast.encode("", add_special_tokens=True).ids)[:1]
        return tuple(first) if first == [tokenizer.bos_token_id] else ()

    def _find_anchor(self) -> list[int]:
        """Ids of :data:`ANCHOR` where text must stand behind one to be itself, else none."""
        anchor = self.encode(ANCHOR)
        inner = self.encode(f"{ANCHOR} x")[len(anchor) :]
        same = self.encode(" x") == inner and self.decode(inner) == " x"
        return [] if same else anchor

    @classmethod
    def load(cls, folder: Path, model_name: str = "", fim: str = AUTO) -> TextTokenizer:
        """Read the tokenizer of a model's folder.

        :raises ModelError: it is missing or damaged, or has no tokens of the family ``fim``.
        """
        try:
            tokenizer = _read_plain(folder)
            if tokenizer is None:
                from transformers import AutoTokenizer

                tokenizer = AutoTokenizer.from_pretrained(folder)
            return cls(tokenizer, model_name or folder.name, fim)
        except (OSError, ValueError, AttributeError) as exc:
            raise ModelError(
                f"the tokenizer in {folder} cannot be read ({str(exc).splitlines()[0]})",
                "pull the model again",
            ) from exc

    def encode(self, text: str) -> list[int]:
        """Ids of ``text`` as plain text, without anything added."""
        # A path may hold bytes that are no UTF-8 (as lone surrogates); the tokenizer takes none.
        clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if not self._anchor:
            return list(self._fast.encode(clean, add_special_tokens=False).ids)
        ids = self._fast.encode(ANCHOR + clean, add_special_tokens=False).ids
        return list(ids[len(self._anchor) :])

    def decode(self, ids: list[int]) -> str:
        """Text of ``ids``; control tokens give nothing, an unfinished character a mark."""
        text = str(self._fast.decode([*self._anchor, *ids], skip_special_tokens=True))
        return text[len(ANCHOR) :] if self._anchor else text

    def spell(self, ids: list[int]) -> str:
        """Text of ``ids`` with the control tokens written out."""
        return str(self._fast.decode(ids, skip_special_tokens=False))

    def control(self, token: str) -> int:
        """The id of a control token.

        :raises KeyError: the vocabulary has none of that name.
        """
        return self._vocabulary[token]

    @property
    def size(self) -> int:
        """How many tokens the vocabulary has."""
        return len(self._vocabulary)

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


def _read_plain(folder: Path) -> Any | None:
    """What :class:`TextTokenizer` takes of a fast tokenizer of transformers, under the same names,
    without its imports (see safetensors_loader.py); ``None``: it is for transformers to load."""
    from tokenizers import Tokenizer

    try:
        facts = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        if facts.get("tokenizer_class") not in PLAIN_TOKENIZERS or set(facts) - PLAIN_KEYS:
            return None
        backend = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
        names = {end: facts.get(f"{end}_token") for end in ("bos", "eos")}
        ids = {end: backend.token_to_id(x) if x else None for end, x in names.items()}
    except Exception:  # noqa: BLE001 - tokenizers raises nothing narrower for a damaged file
        return None
    if any(names[end] and ids[end] is None for end in names):
        return None
    return SimpleNamespace(
        backend_tokenizer=backend, bos_token_id=ids["bos"], eos_token_id=ids["eos"]
    )
