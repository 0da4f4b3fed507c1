"""CrystalBLEU (Eghbali and Pradel 2022, "CrystalBLEU: precisely and efficiently measuring the
similarity of code"): BLEU without the n-grams that all code shares. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

# As in the paper: n-grams of up to four tokens, of which the 500 most frequent do not count.
LONGEST, SHARED = 4, 500
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|[^\w\s]", re.ASCII)

Ngram = tuple[str, ...]


def shared_ngrams(texts: Iterable[str], count: int = SHARED) -> frozenset[Ngram]:
    """The ``count`` most frequent n-grams of some code in the language that is compared."""
    counts: Counter[Ngram] = Counter()
    for text in texts:
        tokens = _TOKEN.findall(text)
        for n in range(1, LONGEST + 1):
            counts.update(_ngrams(tokens, n))
    # Equal counts by the n-gram itself, so that the choice depends on nothing else.
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return frozenset(ngram for ngram, _ in ordered[:count])


def crystal_bleu(pairs: Sequence[tuple[str, str]], shared: frozenset[Ngram]) -> float:
    """The score of a corpus, 0 to 100.

    :param pairs: what was written and what should have been.
    :param shared: of :func:`shared_ngrams`.
    """
    matched, total = [0] * LONGEST, [0] * LONGEST
    lengths = [0, 0]
    for candidate, reference in pairs:
        found, wanted = _TOKEN.findall(candidate), _TOKEN.findall(reference)
        lengths[0] += len(found)
        lengths[1] += len(wanted)
        for n in range(1, LONGEST + 1):
            ours, theirs = (_counted(tokens, n, shared) for tokens in (found, wanted))
            matched[n - 1] += (ours & theirs).total()
            total[n - 1] += ours.total()
    if not all(matched):
        return 0.0
    precision = sum(math.log(m / t) for m, t in zip(matched, total, strict=True)) / LONGEST
    brevity = min(0.0, 1 - lengths[1] / lengths[0])
    return 100 * math.exp(precision + brevity)


def _ngrams(tokens: Sequence[str], n: int) -> Iterable[Ngram]:
    return zip(*(tokens[i:] for i in range(n)), strict=False)


def _counted(tokens: Sequence[str], n: int, shared: frozenset[Ngram]) -> Counter[Ngram]:
    return Counter(ngram for ngram in _ngrams(tokens, n) if ngram not in shared)
