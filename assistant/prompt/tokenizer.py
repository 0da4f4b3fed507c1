"""A tokenizer that never interprets control tokens in a user's text."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from git_copilot.assistant.prompt.fim import FimFormat, detect_fim, family_of
from git_copilot.index.core.errors import ModelError

AUTO, NONE = "auto", "none"
# encode_infilling() puts this before a text: a character that is unlikely to be merged with others.
ANCHOR = "\u263a"
# transformers' classes that add nothing to tokenizer.json, and the keys of their configuration that
# do not affect encoding.
PLAIN_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
PLAIN_KEYS = frozenset(
    {
        "backend", "bos_token", "clean_up_tokenization_spaces", "eos_token", "is_local",
        "local_files_only", "model_max_length", "pad_token", "tokenizer_class", "unk_token",
    }
)  # fmt: skip


class TextTokenizer:
    """Text to ids and back. Control tokens come only from :meth:`control`.

    Text is encoded as it is inside a file: SentencePiece tokenizers put a space before every text
    and remove one when they decode, which would be wrong behind a control token and in the middle
    of a line (encode_infilling() in meta-llama/codellama does the same).
    """

    def __init__(self, tokenizer: Any, model_name: str = "", fim: str = AUTO) -> None:
        """:param tokenizer: a fast tokenizer of transformers, or the same attributes of another.
        :param fim: the family whose format is used; ``"auto"``: detected from the tokens.
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
                "unset `copilot.fim`, or set it to the model's own family",
            )
        return found

    def _begin(self, tokenizer: Any) -> tuple[int, ...]:
        """The ids before every text: the family's first token, or the tokenizer's own."""
        if self.fim is not None and self.fim.begin:
            return (self._vocabulary[self.fim.begin],)
        first = list(self._fast.encode("", add_special_tokens=True).ids)[:1]
        return tuple(first) if first == [tokenizer.bos_token_id] else ()

    def _find_anchor(self) -> list[int]:
        """The ids of :data:`ANCHOR` if text is encoded correctly only behind one, else none."""
        anchor = self.encode(ANCHOR)
        inner = self.encode(f"{ANCHOR} x")[len(anchor) :]
        same = self.encode(" x") == inner and self.decode(inner) == " x"
        return [] if same else anchor

    @classmethod
    def load(cls, folder: Path, model_name: str = "", fim: str = AUTO) -> TextTokenizer:
        """Read the tokenizer of a model's folder.

        :raises ModelError: it is missing or damaged, or lacks the tokens of the family ``fim``.
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
        """The ids of ``text`` as plain text, with nothing added."""
        # A path may have bytes that are not UTF-8 (lone surrogates); the tokenizer rejects these.
        clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if not self._anchor:
            return list(self._fast.encode(clean, add_special_tokens=False).ids)
        ids = self._fast.encode(ANCHOR + clean, add_special_tokens=False).ids
        return list(ids[len(self._anchor) :])

    def decode(self, ids: list[int]) -> str:
        """The text of ``ids`` without control tokens; an unfinished character becomes U+FFFD."""
        text = str(self._fast.decode([*self._anchor, *ids], skip_special_tokens=True))
        return text[len(ANCHOR) :] if self._anchor else text

    def spell(self, ids: list[int]) -> str:
        """The text of ``ids`` with the control tokens written out."""
        return str(self._fast.decode(ids, skip_special_tokens=False))

    def control(self, token: str) -> int:
        """The id of a control token.

        :raises KeyError: the vocabulary does not have it.
        """
        return self._vocabulary[token]

    @property
    def size(self) -> int:
        """The number of tokens in the vocabulary."""
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
    """The attributes of a fast transformers tokenizer that :class:`TextTokenizer` uses, without its
    imports (see safetensors_loader.py); ``None``: it is for transformers to load."""
    from tokenizers import Tokenizer

    try:
        facts = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        if facts.get("tokenizer_class") not in PLAIN_TOKENIZERS or set(facts) - PLAIN_KEYS:
            return None
        backend = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
        names = {end: facts.get(f"{end}_token") for end in ("bos", "eos")}
        ids = {end: backend.token_to_id(x) if x else None for end, x in names.items()}
    except Exception:  # noqa: BLE001 - tokenizers raises a bare Exception for a damaged file
        return None
    if any(names[end] and ids[end] is None for end in names):
        return None
    return SimpleNamespace(
        backend_tokenizer=backend, bos_token_id=ids["bos"], eos_token_id=ids["eos"]
    )
