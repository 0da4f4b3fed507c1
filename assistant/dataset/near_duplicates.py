"""Near-duplicates of short pieces of code: sets of token shingles and their overlap. Pure.

Two pieces are near-duplicates when the Jaccard similarity of their shingle sets reaches
:data:`THRESHOLD` (Broder 1997). Within one collection they are found by MinHash and
locality-sensitive hashing, and every candidate is checked; near-duplicates of a few known pieces
are found by an inverted index, which is exact.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

# The Stack's threshold (arXiv 2211.15533, 0.7). Its shingles of five words suit whole files; a
# hole and its neighbourhood have some 60 tokens, in which one changed token spoils five of them.
THRESHOLD = 0.7
SHINGLE = 3
# Two sets at the threshold share no band once in 45 million times: (1 - 0.7**3) ** 42.
BANDS, ROWS = 42, 3
SEED = 1
_TOKEN = re.compile(r"\w+|[^\w\s]")

Shingles = frozenset[str]


def tokens(text: str) -> list[str]:
    """Words and single punctuation characters; white space only separates them."""
    return _TOKEN.findall(text)


def shingles(found: Sequence[str]) -> Shingles:
    """All runs of :data:`SHINGLE` tokens; fewer tokens are one shingle."""
    runs = max(1, len(found) - SHINGLE + 1)
    return frozenset(" ".join(found[i : i + SHINGLE]) for i in range(runs))


def jaccard(one: Shingles, other: Shingles) -> float:
    """The Jaccard similarity, 0 to 1."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def near_duplicates(pieces: Sequence[Shingles]) -> list[int]:
    """Indices of the pieces that are near-duplicates of an earlier piece that is kept.

    Greedy: a piece is compared with the pieces kept before it, so that of a chain whose ends are
    not similar more than one piece is kept. Deterministic.
    """
    from datasketch import MinHash, MinHashLSH  # scipy takes a third of a second to import

    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    sketches = MinHash.generator(
        ([shingle.encode("utf-8", "surrogatepass") for shingle in piece] for piece in pieces),
        num_perm=BANDS * ROWS,
        seed=SEED,
        hashfunc=zlib.crc32,
    )
    found = []
    for i, sketch in enumerate(sketches):
        if any(jaccard(pieces[i], pieces[j]) >= THRESHOLD for j in index.query(sketch)):
            found.append(i)
        else:
            index.insert(i, sketch, check_duplication=False)
    return found


class NearIndex:
    """Finds the known pieces that another piece is a near-duplicate of. Exact."""

    def __init__(self, pieces: Iterable[Shingles]) -> None:
        self._sizes: list[int] = []
        self._holders: defaultdict[str, list[int]] = defaultdict(list)
        for number, piece in enumerate(pieces):
            self._sizes.append(len(piece))
            for shingle in piece:
                self._holders[shingle].append(number)

    def near(self, piece: Shingles) -> list[int]:
        """The numbers of the known pieces whose similarity reaches the threshold, ascending."""
        common = Counter(n for shingle in piece for n in self._holders.get(shingle, ()))
        size = len(piece)
        return sorted(n for n, c in common.items() if c / (size + self._sizes[n] - c) >= THRESHOLD)
