"""Ranks chunks by BM25 (Robertson & Zaragoza 2009, https://doi.org/10.1561/1500000019).

Each query word has a weight. Ranking takes two steps: first over all chunks that the full-text
index lists for a word, ignoring term frequency, then exactly over the best of them. SQLite's own
``bm25()`` reads the frequency of every match, which takes most of a search's time. IDF is computed
per view, so ranks do not depend on other branches.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from git_copilot.index.search.chunk_table import ChunkTable, parse_integers
from git_copilot.index.store.database import Database
from git_copilot.index.text.terms import STOP_WORDS, terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from git_copilot.index.search.chunk_table import Flags, Ints

# The usual constants of BM25; other values of the second made no measurable difference.
SATURATION, LENGTH_NORM = 1.2, 0.75
# Only the query words of the highest value count: more of them take time and change no rank.
MAX_WORDS = 32
# How many of the first step's best results are rescored. 60 and 120 made no difference (1,000 holes
# of the five repositories in fusion.py: 0.2 points more with 5 snippets, 0.1 less with 10).
RESCORED = 40
# Cache sizes: chunk numbers of words (8 bytes each), and chunks whose words are kept.
KEPT_NUMBERS = 2_000_000
KEPT_CHUNKS = 3_000


@dataclass(frozen=True, slots=True)
class TermCounts:
    """The term frequencies of a text, and its size in bytes."""

    counts: Mapping[str, int]
    size: int


class Lexicon:
    """The words of the chunks in a view."""

    def __init__(self, db: Database, table: ChunkTable) -> None:
        self._db = db
        self._table = table
        self._places: OrderedDict[str, Ints] = OrderedDict()
        self._held = 0
        self._counts: OrderedDict[int, Mapping[str, int]] = OrderedDict()
        # For each position, the BM25 factor of a word that occurs once, given the chunk's length.
        self._shorter: NDArray[np.float64] = np.empty(0)
        self._mean_size = 1.0

    def refresh(self) -> None:
        """Clear the caches after the view has changed."""
        self._places.clear()
        self._counts.clear()
        self._held = 0
        size = self._table.size
        self._mean_size = float(size.mean()) if len(size) else 1.0
        share = np.asarray(size / self._mean_size, np.float64)
        norm = SATURATION * (1 - LENGTH_NORM + LENGTH_NORM * share)
        self._shorter = np.asarray(1 / (1 + norm), np.float64)

    def contains(self, name: str) -> bool:
        """Whether some chunk contains the identifier, in any case; words that nearly all contain
        count as well."""
        word = name.lower()
        return word in STOP_WORDS or len(self._places_of(word)) > 0

    def values(self, words: Mapping[str, float]) -> dict[str, float]:
        """The query words of the highest value: weight times IDF.

        :param words: words as from :func:`git_copilot.index.text.terms.terms`, with weights.
        """
        count = len(self._table.ids)
        found = {}
        for word, weight in words.items():
            held = len(self._places_of(word))
            # A word that no chunk contains may still occur in an unsaved file.
            found[word] = weight * math.log(1 + (count - held + 0.5) / (held + 0.5))
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return dict(ranked[:MAX_WORDS])

    def rank(
        self,
        values: Mapping[str, float],
        allowed: Flags,
        boost: NDArray[np.float64],
        count: int,
    ) -> list[tuple[int, float]]:
        """The best positions with their scores, best first; ties in the order of positions.

        :param values: from :meth:`values`.
        :param allowed: for each position, whether it may be returned.
        :param boost: for each position, a factor for its score.
        """
        scores = np.zeros(len(self._table.ids))
        for word, value in values.items():
            scores[self._places_of(word)] += value
        spread = self._table.spread(scores) * boost * self._shorter
        spread[~allowed] = 0
        best = _best(spread, max(RESCORED, count))
        self._read(self._table.chunk[best])
        exact = [
            (
                position,
                self.score(
                    values,
                    TermCounts(
                        self._counts[int(self._table.chunk[position])],
                        int(self._table.size[position]),
                    ),
                )
                * float(boost[position]),
            )
            for position in best
        ]
        return sorted(exact, key=lambda item: (-item[1], item[0]))[:count]

    def score(self, values: Mapping[str, float], text: TermCounts) -> float:
        """The BM25 score of one text."""
        share = text.size / self._mean_size
        norm = SATURATION * (1 - LENGTH_NORM + LENGTH_NORM * share)
        counts = text.counts
        return sum(
            value * often * (SATURATION + 1) / (often + norm)
            for word, value in values.items()
            if (often := counts.get(word, 0))
        )

    def _places_of(self, word: str) -> Ints:
        """Indices into :attr:`ChunkTable.ids` of the chunks that contain the word."""
        held = self._places.get(word)
        if held is None:
            rows = self._db.query(
                "SELECT json_group_array(rowid) FROM chunks_fts WHERE chunks_fts MATCH ?",
                (f'"{word}"',),
            )
            held = self._table.locate(parse_integers(rows[0][0]))
            self._held += len(held)
        self._places[word] = held
        self._places.move_to_end(word)
        while self._held > KEPT_NUMBERS and len(self._places) > 1:
            self._held -= len(self._places.popitem(last=False)[1])
        return held

    def _read(self, chunk_ids: Iterable[int]) -> None:
        """Cache the term frequencies of these chunks."""
        wanted = [int(chunk_id) for chunk_id in chunk_ids]
        new = [chunk_id for chunk_id in wanted if chunk_id not in self._counts]
        for chunk_id, text in self._db.query(
            f"SELECT id, text FROM chunks WHERE id IN ({','.join(map(str, new))})"
        ):
            self._counts[int(str(chunk_id))] = Counter(terms(str(text)))
        for chunk_id in wanted:
            self._counts.move_to_end(chunk_id)
        while len(self._counts) > max(KEPT_CHUNKS, len(wanted)):
            self._counts.popitem(last=False)


def _best(scores: NDArray[np.float64], count: int) -> list[int]:
    """Indices of the highest positive scores, best first; ties by index."""
    if len(scores) > count:
        bound = np.partition(scores, -count)[-count]
        found = np.flatnonzero(scores >= max(bound, np.finfo(float).tiny))
    else:
        found = np.flatnonzero(scores > 0)
    order = np.argsort(-scores[found], kind="stable")[:count]
    return [int(i) for i in found[order]]
