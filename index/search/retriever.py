"""Finds chunks of a worktree's view by words, by meaning and by defined name.

Sources rank references (:class:`~git_copilot.index.search.fusion.ChunkRef`); only the winners'
texts are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from git_copilot.index.core.types import Embedder, Hit
from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.search.chunk_table import ChunkTable, parse_integers
from git_copilot.index.search.fusion import (
    DEFAULT_RANKING,
    ChunkRef,
    FusedResult,
    NoveltyFilter,
    RankingWeights,
    fuse,
)
from git_copilot.index.search.lexicon import Lexicon
from git_copilot.index.search.overlay import EMPTY_OVERLAY, Overlay, UncommittedChunk
from git_copilot.index.search.priors import Priors, path_prior
from git_copilot.index.store.database import Database
from git_copilot.index.text.named_values import NO_VALUES, VALUE_KINDS
from git_copilot.index.text.terms import STOP_WORDS, terms

if TYPE_CHECKING:
    from git_copilot.index.embedding.vectors import Neighbour
    from git_copilot.index.search.chunk_table import Flags

# Hits of each source that enter the fusion.
CANDIDATES = 40
# The query is embedded three times, with its last 2, 6 and 25 lines. Recall at 10 of a needed
# chunk, pairs of bench/embedder: all lines 12.5%, the last six 13.6%, weights halving every two
# lines 14.3%.
DENSE_LINES = (2, 6, 25)
# Nearest vectors to fetch: the cursor's own file and other languages are dropped afterwards.
NEAREST = 3 * CANDIDATES
# A name defined in more chunks than this (`__init__`, `main`) is ignored.
MAX_DEFINITIONS = 4
MAX_DEFINITION_NAMES = 60
# A shorter prefix matches too many names; for longer ones the first few matches suffice.
MIN_PARTIAL, MAX_STARTED = 3, 3
# Limit on names with the same prefix, shortest first.
MAX_ALIKE = 200


@dataclass(frozen=True, slots=True)
class Query:
    """A query for snippets.

    ``text`` is embedded; ``words`` are matched, with weights (default: those of ``text``, all
    equal); ``names`` are identifiers whose definitions are wanted, best first; ``partial`` is the
    start of an identifier that is being typed; ``modules`` are imported names that may be files of
    this repository; ``partners`` are paths coupled to the cursor's file, 1 for the closest;
    ``seen`` are the visible lines (stripped); ``exclude`` is a path to leave out; ``language``
    restricts hits to its family of languages."""

    text: str
    words: Mapping[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    partial: str = ""
    modules: tuple[str, ...] = ()
    partners: Mapping[str, float] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    exclude: str = ""
    language: str = ""


class Searcher:
    """Searches one view. Its data in memory (ids, vectors, words) is updated automatically.

    Ranks depend on the view, the overlay and the query only, never on what was indexed before.
    """

    def __init__(self, db: Database, view: str, vectors: VectorIndex | None) -> None:
        self._db = db
        self._vectors = vectors
        self._table = ChunkTable(db, view)
        self._lexicon = Lexicon(db, self._table)
        self._priors = Priors(self._table)
        # FAISS releases the GIL, so the dense search runs beside the lexical one.
        self._beside = ThreadPoolExecutor(1, "dense")

    def search(
        self,
        query: Query,
        count: int,
        embedder: Embedder | None,
        overlay: Overlay = EMPTY_OVERLAY,
    ) -> list[Hit]:
        """The ``count`` best distinct chunks, best first; the order is deterministic."""
        if count < 1:  # `copilot.snippets 0`
            return []
        return self.best(self.find(query, embedder, overlay), query, count, overlay)

    def refresh(self) -> None:
        """Update to the current state of the view."""
        if self._table.refresh():
            self._lexicon.refresh()
            self._priors.refresh()

    def find(
        self,
        query: Query,
        embedder: Embedder | None,
        overlay: Overlay = EMPTY_OVERLAY,
        ranking: RankingWeights = DEFAULT_RANKING,
    ) -> dict[str, list[ChunkRef]]:
        """The results of each source, best first."""
        self.refresh()
        hidden = {query.exclude, *overlay.paths}
        allowed = self._table.allowed(query.language, hidden)
        uncommitted = list(overlay.chunks(query.language, query.exclude))
        nearest = self._begin_dense(query, embedder)
        return {
            "typed": self._typed(query, allowed, uncommitted),
            "definition": self._defined(query, allowed, uncommitted),
            "lexical": self._lexical(query, allowed, uncommitted, ranking),
            "dense": self._dense(nearest.result(), allowed) if nearest else [],
        }

    def best(
        self,
        lists: Mapping[str, Sequence[ChunkRef]],
        query: Query,
        count: int,
        overlay: Overlay = EMPTY_OVERLAY,
        ranking: RankingWeights = DEFAULT_RANKING,
    ) -> list[Hit]:
        """Fuse the results of :meth:`find` and read the texts of the ``count`` best distinct
        ones."""
        return self.distinct(fuse(lists, ranking), count, overlay, query.seen)

    def distinct(
        self,
        ranked: Sequence[FusedResult],
        count: int,
        overlay: Overlay = EMPTY_OVERLAY,
        seen: frozenset[str] = frozenset(),
    ) -> list[Hit]:
        """Read the texts of the ``count`` best results, without near duplicates."""
        if count < 1:
            return []
        novelty_filter = NoveltyFilter(seen)
        hits: list[Hit] = []
        for begin in range(0, len(ranked), 2 * count):
            for hit in self._read(ranked[begin : begin + 2 * count], overlay):
                if novelty_filter.admit(hit.text):
                    hits.append(hit)
                if len(hits) == count:
                    return hits
        return hits

    def _lexical(
        self,
        query: Query,
        allowed: Flags,
        uncommitted: Sequence[UncommittedChunk],
        ranking: RankingWeights,
    ) -> list[ChunkRef]:
        """Rank by the words around the cursor, whole and in parts, and by the files' priors."""
        values = self._lexicon.values(query.words or dict.fromkeys(terms(query.text), 1.0))
        boost = self._priors.boost(query.modules, query.partners, ranking)
        found = [
            (-score, self._table.ref(position))
            for position, score in self._lexicon.rank(values, allowed, boost, CANDIDATES)
        ]
        for each in uncommitted:
            score = self._lexicon.score(values, each.words)
            if score:
                prior = path_prior(each.file.path, query.modules, query.partners, ranking)
                found.append((-score * prior, each.ref))
        return [ref for _, ref in sorted(found)[:CANDIDATES]]

    def _begin_dense(
        self, query: Query, embedder: Embedder | None
    ) -> Future[list[Neighbour]] | None:
        """Start the dense search; ``None`` if there is nothing to compare."""
        if embedder is None or self._vectors is None or not query.text.strip():
            return None
        self._vectors.refresh(self._db)
        # Three nested windows, so that lines next to the cursor count most.
        lines = query.text.split("\n")
        looks = [x for count in DENSE_LINES if (x := "\n".join(lines[-count:])).strip()]
        return self._beside.submit(nearest, self._vectors, embedder, looks, self._table.all_ids)

    def _dense(self, nearest: Sequence[Neighbour], allowed: Flags) -> list[ChunkRef]:
        """Rank by the cosine of embeddings."""
        refs = self._table.refs((chunk_id for chunk_id, _ in nearest), allowed)
        ranked = sorted((-score, refs[i]) for i, score in nearest if i in refs)
        return [ref for _, ref in ranked[:CANDIDATES]]

    def _defined(
        self, query: Query, allowed: Flags, uncommitted: Sequence[UncommittedChunk]
    ) -> list[ChunkRef]:
        """Chunks that define one of the query's names, in the order of the names."""
        names = [n for n in dict.fromkeys(query.names) if n.lower() not in STOP_WORDS]
        names = names[:MAX_DEFINITION_NAMES]
        rows = self._db.query(
            "SELECT name, json_group_array(DISTINCT chunk_id) FROM symbols"
            f" WHERE name IN (SELECT value FROM json_each(?)) AND {NO_VALUES} GROUP BY name",
            (json.dumps(names),),
        )
        by_name = self._by_name(rows, allowed, MAX_DEFINITIONS)
        wanted = set(names)
        for each in uncommitted:
            for symbol in each.chunk.symbols:
                if symbol.name in wanted and symbol.kind not in VALUE_KINDS:
                    by_name.setdefault(symbol.name, set()).add(each.ref)
        found = (sorted(by_name.get(name, ())) for name in names)
        few = (refs for refs in found if len(refs) <= MAX_DEFINITIONS)
        return list(dict.fromkeys(ref for refs in few for ref in refs))[:CANDIDATES]

    def _typed(
        self, query: Query, allowed: Flags, uncommitted: Sequence[UncommittedChunk]
    ) -> list[ChunkRef]:
        """Definitions whose names start with the identifier that is being typed, shortest names
        first."""
        begun = query.partial
        if len(begun) < MIN_PARTIAL:
            return []
        rows = self._db.query(
            "SELECT name, json_group_array(DISTINCT chunk_id) FROM symbols WHERE name IN (SELECT DISTINCT"
            f" name FROM symbols WHERE name > ? AND name < ? AND {NO_VALUES}"
            f" ORDER BY length(name), name LIMIT ?) AND {NO_VALUES} GROUP BY name",
            (begun, f"{begun}\U0010ffff", MAX_ALIKE),
        )
        by_name = self._by_name(rows, allowed)
        for each in uncommitted:
            for symbol in each.chunk.symbols:
                begins = symbol.name.startswith(begun) and symbol.name != begun
                if begins and symbol.kind not in VALUE_KINDS:
                    by_name.setdefault(symbol.name, set()).add(each.ref)
        names = sorted(by_name, key=lambda name: (len(name), name))
        refs = (ref for name in names for ref in sorted(by_name[name]))
        return list(dict.fromkeys(refs))[:MAX_STARTED]

    def _by_name(
        self, rows: Sequence[tuple[object, ...]], allowed: Flags, most: int = sys.maxsize
    ) -> dict[str, set[ChunkRef]]:
        """Convert rows of (name, JSON array of distinct chunk ids) to the allowed chunks of each
        name; for a name with more than ``most`` chunks, any ``most + 1`` of them."""
        ids = [parse_integers(array) for _, array in rows]
        positions, asked = self._table.positions(
            np.concatenate([*ids, parse_integers("[]")]), allowed
        )
        # The positions of each name are contiguous.
        ends = np.searchsorted(asked, np.cumsum([len(each) for each in ids])).tolist()
        found = {}
        for (name, _), begin, end in zip(rows, [0, *ends], ends, strict=False):
            few = positions[begin : min(end, begin + most + 1)].tolist()
            found[str(name)] = {self._table.ref(position) for position in few}
        return found

    def _read(self, ranked: Sequence[FusedResult], overlay: Overlay) -> list[Hit]:
        """The hits with their texts, in order."""
        committed = [f.ref.chunk_id for f in ranked if f.ref.chunk_id >= 0]
        rows = self._db.query(
            "SELECT c.id, b.oid, c.start_line, c.end_line, c.text, b.language FROM chunks c"
            " JOIN blobs b ON b.id = c.blob_id WHERE c.id IN (SELECT value FROM json_each(?))",
            (json.dumps(committed),),
        )
        found = {
            int(str(chunk_id)): Hit(
                int(str(chunk_id)), "", str(oid), int(str(first)), int(str(last)), str(text),
                0.0, (), str(language),
            )
            for chunk_id, oid, first, last, text, language in rows
        }  # fmt: skip
        hits = []
        for each in ranked:
            hit = found.get(each.ref.chunk_id) or overlay.hit(each.ref)
            # None: another process has deleted the chunk meanwhile.
            if hit is not None:
                hits.append(
                    replace(hit, path=each.ref.path, score=each.score, sources=each.sources)
                )
        return hits


def nearest(
    vectors: VectorIndex, embedder: Embedder, looks: list[str], ids: list[int]
) -> list[Neighbour]:
    """The chunks nearest to the sum of the texts' embeddings."""
    return vectors.search(np.sum(embedder.encode(looks), axis=0), NEAREST, ids)
