"""Where the text before the cursor is cut into tokens so that a completion can go on from it. Pure.

A tokenizer joins white space in ways that depend on what follows: ``\\n\\t\\t`` at the end of a text is
one token, but before ``return`` it is ``\\n\\t`` and ``\\t``. A model has seen the one token only where
another tab follows, and writes that tab. So the text is encoded as if a word followed it, and cut
where the word begins. No rule of any tokenizer is repeated here: it is asked.
"""

from __future__ import annotations

from typing import Protocol

# A word that begins many indented lines, so that a vocabulary that joins any with the white space
# before it joins this one.
WORD = "return"
# White space that files are indented with. Behind other white space a cursor stands in the middle
# of a line or between lines, and what follows may be anything.
INDENTATION = "\t"


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: list[int]) -> str: ...


def encode_open(tokenizer: Encoder, text: str) -> tuple[list[int], str]:
    """Ids of a text that something is to follow, and its end that they leave out.

    Where the tokenizer joins the last white space with the word that follows, no ids end at the
    cursor: then that white space is what the completion must begin with. Text that ends
    otherwise is encoded as it stands.
    """
    if not text.endswith(INDENTATION):
        return tokenizer.encode(text), ""
    ids = tokenizer.encode(text + WORD)
    for count in range(1, min(len(ids), len(WORD)) + 1):
        end = tokenizer.decode(ids[-count:])
        if end.endswith(WORD):
            lead = end.removesuffix(WORD)
            if text.endswith(lead) and len(lead) < len(text):
                return ids[:-count], lead
            break
    return tokenizer.encode(text), ""
