"""The arms of bench/retrieval.py: rankings of snippets for one hole, and their comparison.

Each source alone (``dense`` for every embedder); fused with every embedder and with none; fused
with the first embedder but without one source or prior.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gold import COUNTS, Need

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.examples import serving_budget
from git_copilot.assistant.evaluation.metrics import Score, compare
from git_copilot.assistant.prompt.cursor_query import cursor_query, edited_file
from git_copilot.index.core.types import Embedder, Hit
from git_copilot.index.search.fusion import DEFAULT_RANKING, RankingWeights
from git_copilot.index.search.retriever import Searcher

DENSE = "dense"
PRIORS = ("import_prior", "partner_prior")


@dataclass(frozen=True, slots=True)
class Row:
    """One hole, the names that it needs, the figures and the snippets of each arm (best first),
    and how long one search took."""

    cut: Cut
    needs: list[Need]
    figures: dict[str, dict[str, float]]
    ranked: dict[str, list[Hit]]
    seconds: float


def rankings(
    cut: Cut,
    searchers: Sequence[tuple[Searcher, Embedder | None]],
    partners: Mapping[str, float],
    dense_weights: Sequence[float] = (),
) -> tuple[dict[str, list[Hit]], float]:
    """The snippets of every arm, best first, and the seconds that the first searcher took.

    :param searchers: one for each embedder, all of the same view.
    :param partners: the files that changed with the hole's before its commit.
    :param dense_weights: other weights to try for what the embedders find.
    """
    file = edited_file(cut.hole.path, cut.prefix, cut.suffix, serving_budget(Settings()))
    query = cursor_query(file, cut.hole.language, partners)
    searcher, embedder = searchers[0]
    count = max(COUNTS)
    begun = time.perf_counter()
    searcher.search(query, count, embedder)
    seconds = time.perf_counter() - begun
    lists = {e.name if e else "none": s.find(query, e) for s, e in searchers}
    first = next(iter(lists.values()))
    rest = {**first, DENSE: []}
    plain = RankingWeights(import_prior=0, partner_prior=0)
    words = searcher.find(query, None, ranking=plain)["lexical"]
    alone = {"lexical": words, **{s: first[s] for s in first if s not in (DENSE, "lexical")}}
    named = [name for name in lists if name != "none"]
    alone |= {f"dense {name}": lists[name][DENSE] for name in named}
    ranked = {arm: searcher.best({arm: spots}, query, count) for arm, spots in alone.items()}
    for name, found in {**lists, "none": rest}.items():
        ranked[f"fused {name}"] = searcher.best(found, query, count)
        for weight in dense_weights if name in named else ():
            recipe = replace(DEFAULT_RANKING, weights={**DEFAULT_RANKING.weights, DENSE: weight})
            arm = f"  {name}, dense x {weight:g}"
            ranked[arm] = searcher.best(found, query, count, ranking=recipe)
    for source in rest:
        if source != DENSE:
            ranked[f"  without {source}"] = searcher.best({**first, source: []}, query, count)
    for prior in PRIORS:
        recipe = replace(DEFAULT_RANKING, **{prior: 0.0})
        without = {**searcher.find(query, None, ranking=recipe), DENSE: first[DENSE]}
        ranked[f"  without {prior}"] = searcher.best(without, query, count, ranking=recipe)
    return ranked, seconds


def mean(rows: Sequence[Row], arm: str, key: str) -> float:
    """The mean of a figure over the holes that have it; 0 where none has."""
    values = [row.figures[arm][key] for row in rows if key in row.figures[arm]]
    return round(sum(values) / len(values), 4) if values else 0.0


def difference(
    rows: Sequence[Row], arm: str, reference: str, key: str
) -> tuple[float, float, float] | None:
    """How many points the reference is better by, with a 95% interval from resampled commits."""
    if arm == reference:
        return None
    arms = [
        [Score(r.cut.hole.commit, 100 * r.figures[name][key], 0, 0, 0, 1) for r in rows]
        for name in (arm, reference)
    ]
    found = compare(*arms).em
    return round(found.value, 2), round(found.low, 2), round(found.high, 2)
