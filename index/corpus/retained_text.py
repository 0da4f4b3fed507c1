"""How much of an accepted text is still there. Pure."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_WORD = re.compile(r"\w")
# A comparison of more pairs of tokens than this would take seconds.
MAX_PAIRS = 250_000


def retained_characters(accepted: str, now: str) -> int:
    """The number of characters of ``accepted`` that stand in ``now`` in the same order, in whole
    words. Brackets and space count where they stand beside such a word, as they are in every text.
    """
    if accepted in now:
        return len(accepted)
    old, new = _TOKEN.findall(accepted), _TOKEN.findall(now)
    if len(old) * len(new) > MAX_PAIRS:
        return _common_prefix(old, new)
    total = 0
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        tokens = old[block.a : block.a + block.size]
        if any(map(_WORD.match, tokens)):
            total += sum(map(len, tokens))
    return total


def _common_prefix(old: list[str], new: list[str]) -> int:
    total = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        total += len(one)
    return total
