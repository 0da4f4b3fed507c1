"""Ranks what several searches found. Pure.

Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009,
https://doi.org/10.1145/1571941.1572114) needs ranks only, so a bm25 value and a cosine never
have to be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from git_copilot.index.text.terms import IDENTIFIER

# The paper has 60, for lists of a thousand documents: with it the fortieth place is still worth more
# than half of the first.
RRF_K = 20
# What each source weighs beside the words. Chosen with the constant above by what 491 holes of
# starlette, marshmallow, werkzeug, poetry and uvicorn need (bench/retrieval.py), of which the
# embedder had learnt nothing: +4.1 points over the words alone among 5 snippets, +2.9 among 10;
# with the paper's constant and the weights of before +1.9 and +1.4. Three times the weight for
# meaning gained another 0.3 there, and on click, datasette and mypy lost 2.5 among 5 against none. A
# ranker fitted to scores, ranks, sizes and priors (conditional logit, each repository ranked by the
# others' weights) reached +4.1 and +2.8. The chunk behind one that matches, which RepoCoder's windows
# of lines take (arXiv 2303.12570), as a source of its own: at weights from 0.1 to 0.8, behind the
# first 5, 10 or 20 by words, between 0.5 and 9.3 points less among 5 and 0.2 to 4.7 less among 10. A
# chunk here is a whole definition, so what follows a match is another one.
WEIGHTS: Mapping[str, float] = {"definition": 0.3, "lexical": 1.0, "dense": 0.05, "typed": 2.5}
# Sources whose order says little: all that they find is worth what the first is.
FLAT = frozenset({"definition"})
# What an identifier that is being typed may become is a definition too; it only weighs more,
# because a name that was begun is asked for, not guessed.
REPORTED_AS: Mapping[str, str] = {"typed": "definition"}
# Two chunks with this share of identifiers in common say the same thing twice.
NEAR_DUPLICATE = 0.85


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """What the ranking weighs: each source, and each prior (what a file gains at most, as a share
    of what its words say). bench/retrieval.py leaves out one at a time."""

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    import_prior: float = 0.4
    partner_prior: float = 0.3


DEFAULT_RANKING = RankingWeights()


@dataclass(frozen=True, slots=True, order=True)
class ChunkRef:
    """A chunk's place: the ``ordinal``-th of its file. ``chunk_id`` is below 0 for a chunk of a
    file that is not committed. The order of references breaks ties of ranks, and never depends on
    which chunk was seen first."""

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
    """Lets a text through that says something new.

    :param seen: lines that are in view, without white space at their ends.
    """

    def __init__(self, seen: frozenset[str] = frozenset()) -> None:
        self._seen = seen
        self._bags: list[frozenset[str]] = []

    def admit(self, text: str) -> bool:
        """Whether most of its lines are not in view (a moved or copied file) and it is no near
        duplicate of what was let through before."""
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
