"""Fuses the ranked results of several searches. Pure.

Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009,
https://doi.org/10.1145/1571941.1572114) needs ranks only, so a bm25 value and a cosine never
have to be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from git_copilot.index.text.terms import IDENTIFIER

# The paper has 60, for lists of a thousand documents: with it the fortieth place is still worth
# more than half of the first.
RRF_K = 20
# Weights of the sources, relative to the words. Chosen together with the constant above on 491
# holes of starlette, marshmallow, werkzeug, poetry and uvicorn (bench/retrieval.py), which the
# embedder was not trained on: +4.1 points over words alone with 5 snippets, +2.9 with 10; with the
# paper's constant and the previous weights +1.9 and +1.4. Three times the dense weight gained
# another 0.3 there, but lost 2.5 on click, datasette and mypy with 5 snippets, compared with none.
# A ranker fitted to scores, ranks, sizes and priors (conditional logit, leave-one-repository-out)
# reached +4.1 and +2.8. The chunk after a match as a source of its own, as in RepoCoder's windows
# of lines (arXiv 2303.12570), at weights from 0.1 to 0.8, after the first 5, 10 or 20 by words,
# lost 0.5 to 9.3 points with 5 snippets and 0.2 to 4.7 with 10: a chunk here is a whole definition,
# so the next one is unrelated.
WEIGHTS: Mapping[str, float] = {"definition": 0.3, "lexical": 1.0, "dense": 0.05, "typed": 2.5}
# Sources whose order means little: all of their results count like the first.
FLAT = frozenset({"definition"})
# Candidates for a partly typed identifier are definitions too. They only weigh more, because the
# name is requested, not guessed.
REPORTED_AS: Mapping[str, str] = {"typed": "definition"}
# Chunks with this Jaccard index of their identifiers are near duplicates.
NEAR_DUPLICATE = 0.85


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """Weights of each source and each prior (the maximum gain of a file, as a share of its lexical
    score). bench/retrieval.py leaves out one at a time."""

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    import_prior: float = 0.4
    partner_prior: float = 0.3


DEFAULT_RANKING = RankingWeights()


@dataclass(frozen=True, slots=True, order=True)
class ChunkRef:
    """A reference to a chunk: the ``ordinal``-th of its file. ``chunk_id`` is negative for a chunk
    of an uncommitted file. References are ordered to break ties between ranks, independently of the
    order of indexing."""

    path: str
    ordinal: int
    chunk_id: int


@dataclass(frozen=True, slots=True)
class FusedResult:
    """A chunk reference with its score and the sources that found it."""

    ref: ChunkRef
    score: float
    sources: tuple[str, ...]


def fuse(
    lists: Mapping[str, Sequence[ChunkRef]], ranking: RankingWeights = DEFAULT_RANKING
) -> list[FusedResult]:
    """Merge ranked lists, one for each source, into one, best first."""
    scores: dict[ChunkRef, float] = {}
    sources: dict[ChunkRef, list[str]] = {}
    for source, ranked in lists.items():
        weight = ranking.weights.get(source, 1.0)
        if not weight:
            continue
        for rank, ref in enumerate(ranked, 1):
            place = 0 if source in FLAT else rank
            scores[ref] = scores.get(ref, 0.0) + weight / (RRF_K + place)
            named = sources.setdefault(ref, [])
            if (name := REPORTED_AS.get(source, source)) not in named:
                named.append(name)
    order = sorted(scores, key=lambda ref: (-scores[ref], ref))
    return [FusedResult(ref, scores[ref], tuple(sources[ref])) for ref in order]


class NoveltyFilter:
    """Drops texts that are near duplicates or already visible.

    :param seen: visible lines, stripped of white space.
    """

    def __init__(self, seen: frozenset[str] = frozenset()) -> None:
        self._seen = seen
        self._bags: list[frozenset[str]] = []

    def admit(self, text: str) -> bool:
        """Whether ``text`` is new: most of its lines are not visible (as in a moved or copied file)
        and it is no near duplicate of an admitted text. If so, it is recorded as admitted."""
        lines = [x for line in text.split("\n") if IDENTIFIER.search(x := line.strip())]
        if self._seen and sum(line in self._seen for line in lines) * 2 > len(lines):
            return False
        bag = frozenset(IDENTIFIER.findall(text))
        if (self._seen and not bag) or any(_jaccard(bag, b) > NEAR_DUPLICATE for b in self._bags):
            return False
        self._bags.append(bag)
        return True


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    union = len(a | b)
    return len(a & b) / union if union else 1.0
