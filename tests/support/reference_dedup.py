"""The rules of leakage.py once more, for two holes, without an index: what tests compare with."""

from __future__ import annotations

import re

THRESHOLD = 0.7


def tokens(text):
    return re.findall(r"\w+|[^\w\s]", text)


def runs(found):
    return {tuple(found[i : i + 3]) for i in range(max(1, len(found) - 2))}


def similarity(one, other):
    return len(one & other) / len(one | other)


def near_lines(cut):
    """Up to three non-blank lines on each side of the hole, as (before, after)."""
    before, after = cut.prefix[-2000:].split("\n"), cut.suffix[:2000].split("\n")
    first, last = len(before) - 1, 0
    while first > 0 and sum(bool(x.strip()) for x in before[first:-1]) < 3:
        first -= 1
    while last < len(after) - 1 and sum(bool(x.strip()) for x in after[1 : last + 1]) < 3:
        last += 1
    return "\n".join(before[first:]), "\n".join(after[: last + 1])


def marked(cut):
    before, after = near_lines(cut)
    middle = [("middle", token) for token in tokens(cut.middle)]
    return [*tokens(before), *middle, *tokens(after)]


def bare(text):
    return "".join(text.split())


def long(text):
    return len(" ".join(text.split())) >= 30


def whole_lines(cut):
    return cut.prefix.split("\n")[-1] + cut.middle + cut.suffix.split("\n")[0]


def is_copy(one, other):
    lines = [whole_lines(one), whole_lines(other)]
    if all(map(long, lines)) and bare(lines[0]) == bare(lines[1]):
        return True
    middles = [one.middle, other.middle]
    if all(map(long, middles)):
        sets = [runs(tokens(m)) for m in middles]
        if similarity(*sets) >= THRESHOLD:
            return True
    sets = [runs(marked(c)) for c in (one, other)]
    return similarity(*sets) >= THRESHOLD
