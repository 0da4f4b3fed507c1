"""Ranks what several searches found. Pure.

Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009,
https://doi.org/10.1145/1571941.1572114) needs ranks only, so a bm25 value and a cosine never
have to be compared.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from git_copilot.index.terms import IDENTIFIER
from git_copilot.index.types import Hit

RRF_K = 60  # the paper's constant: ranks beyond it differ little
# A definition of a name under the cursor is what the next line needs most often; a dense hit of
# a small general embedder is the weakest sign.
WEIGHTS: Mapping[str, float] = {"definition": 1.5, "lexical": 1.0, "dense": 0.7, "typed": 2.5}
# What an identifier that is being typed may become is a definition too; it only weighs more,
# because a name that was begun is asked for, not guessed.
REPORTED_AS: Mapping[str, str] = {"typed": "definition"}
# One rank's worth near the top: the prior breaks near-ties and never lifts an unrelated file.
PATH_PRIOR = 0.1 / RRF_K
# Two chunks with this share of identifiers in common say the same thing twice.
NEAR_DUPLICATE = 0.85


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with the place it holds in the list of one source."""

    hit: Hit
    source: str


def path_closeness(path: str, other: str) -> float:
    """1 for the same folder, falling with each step up or down between the two folders."""
    a = posixpath.dirname(path).split("/")
    b = posixpath.dirname(other).split("/")
    common = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        common += 1
    return 1.0 / (1 + len(a) + len(b) - 2 * common)


def fuse(lists: Mapping[str, Sequence[Hit]], near: str = "") -> list[Hit]:
    """Merge ranked lists, one for each source, into one, best first.

    :param near: the path that hits should be close to; empty for none.
    """
    scores: dict[int, float] = {}
    sources: dict[int, list[str]] = {}
    hits: dict[int, Hit] = {}
    for source, ranked in lists.items():
        for rank, hit in enumerate(ranked, 1):
            weight = WEIGHTS.get(source, 1.0)
            scores[hit.chunk_id] = scores.get(hit.chunk_id, 0.0) + weight / (RRF_K + rank)
            named = sources.setdefault(hit.chunk_id, [])
            if (name := REPORTED_AS.get(source, source)) not in named:
                named.append(name)
            hits[hit.chunk_id] = hit
    merged = []
    for chunk_id, hit in hits.items():
        prior = PATH_PRIOR * path_closeness(hit.path, near) if near else 0.0
        merged.append(
            replace(hit, score=scores[chunk_id] + prior, sources=tuple(sources[chunk_id]))
        )
    # Never by chunk id: it depends on the order in which blobs were first seen.
    return sorted(merged, key=lambda h: (-h.score, h.path, h.start_line))


def distinct(hits: Sequence[Hit], count: int) -> list[Hit]:
    """The first ``count`` hits that do not repeat a better one."""
    kept: list[Hit] = []
    bags: list[frozenset[str]] = []
    for hit in hits:
        bag = frozenset(IDENTIFIER.findall(hit.text))
        if any(_jaccard(bag, other) > NEAR_DUPLICATE for other in bags):
            continue
        kept.append(hit)
        bags.append(bag)
        if len(kept) == count:
            break
    return kept


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    union = len(a | b)
    return len(a & b) / union if union else 1.0
