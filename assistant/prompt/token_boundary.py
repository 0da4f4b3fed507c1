"""Ends the prompt on a token boundary, so that a completion can continue from it. Pure.

A tokenizer joins characters depending on what follows. ``\\n\\t\\t`` at the end of a text is one
token, but before ``return`` it is ``\\n\\t`` and ``\\t``: a model has seen the single token only
where another tab follows, and writes that tab. Half a word is rarely in its training data either.
So the text is cut at a boundary that any continuation has, and the model writes the rest of it
again, together with the completion (token healing, after microsoft/guidance). No tokenizer's rules
are repeated here: the tokenizer itself is asked.

Behind spaces and whole words nothing is done: a model trained to fill in the middle has seen
prompts that end there, and ``copilot-135m-v5`` needs more nats for the same text when it has to
write the space or the word. A word counts as whole if it occurs a second time in the file: 83 to
87% of the words in real code do, and 4 to 12% of the halves of words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

# A word that begins many indented lines: a vocabulary that joins any word with the white space
# before it joins this one.
WORD = "return"
INDENTATION = "\t"
# Characters on each side of the cursor that are searched for a word.
SEARCHED = 2**16
# Anything longer is no word, and would take long to write again.
MAX_WORD = 32
_NAME, _PART = re.compile(r"\w+\Z"), re.compile(r"[^\W_]+\Z")


class BoundaryTokenizer(Protocol):
    """The part of a tokenizer that is needed here."""

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: list[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class TokenBoundary:
    """Where to cut: ``partial_word`` is the half word at the end of the text (or empty); without
    ``healing`` the ids are always those of the whole text."""

    healing: bool = True
    partial_word: str = ""

    def encode(self, tokenizer: BoundaryTokenizer, text: str) -> tuple[list[int], str]:
        """The ids of ``text``, which ends at the cursor, and the end of it that they leave out,
        with which the completion must begin."""
        if text.endswith(INDENTATION):
            ids, forced_prefix = _before_word(tokenizer, text)
            return (
                (ids, forced_prefix)
                if self.healing or not forced_prefix
                else (tokenizer.encode(text), "")
            )
        ids = tokenizer.encode(text)
        return (
            _without_end(tokenizer, ids, text, self.partial_word)
            if self.partial_word
            else (ids, "")
        )


def find_token_boundary(prefix: str, suffix: str, *, healing: bool = True) -> TokenBoundary:
    """The token boundary at a cursor.

    :param healing: whether the model can be forced to begin with a given text.
    """
    name = _NAME.search(prefix[-MAX_WORD - 1 :])
    continues = suffix[:1].isalnum() or suffix[:1] == "_"
    if not healing or name is None or len(name[0]) > MAX_WORD or continues:
        return TokenBoundary(healing)
    alone = re.compile(rf"(?<!\w){name[0]}(?!\w)")
    before = prefix[: -len(name[0])][-SEARCHED:]
    if alone.search(before) or alone.search(suffix[:SEARCHED]):
        return TokenBoundary(healing)
    part = _PART.search(name[0])
    return TokenBoundary(healing, part[0] if part and not part[0].isdigit() else "")


def _before_word(tokenizer: BoundaryTokenizer, text: str) -> tuple[list[int], str]:
    """The ids of ``text`` before a word, and the end of it that is joined with the word."""
    ids, forced_prefix = _without_end(tokenizer, tokenizer.encode(text + WORD), text + WORD, WORD)
    if forced_prefix.endswith(WORD):
        return ids, forced_prefix.removesuffix(WORD)
    return tokenizer.encode(text), ""


def _without_end(
    tokenizer: BoundaryTokenizer, ids: list[int], text: str, end: str
) -> tuple[list[int], str]:
    """``ids`` without the last tokens, which contain ``end``, and the text of these; all ids where
    that leaves none, or where the tokens cannot be separated."""
    for count in range(1, min(len(ids), len(end.encode()) + 1)):
        last = tokenizer.decode(ids[-count:])
        if last.endswith(end) and text.endswith(last):
            return ids[:-count], last
    return ids, ""
