"""Answers queries that people type: ``git copilot search``.

A completion wants snippets that show how names near the cursor are used; there, definitions are one
source among several. A person who types a name wants to see where it is defined, so exact
definitions come first, followed by matches of words, names and meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

from git_copilot.index.core.types import Embedder, Hit, Symbol
from git_copilot.index.search.chunk_table import parse_integers
from git_copilot.index.search.fusion import ChunkRef, FusedResult
from git_copilot.index.search.overlay import EMPTY_OVERLAY, Overlay, UncommittedChunk
from git_copilot.index.search.query_parser import (
    ParsedQuery,
    definition_rank,
    file_prior,
    parse_query,
    path_rank,
    title_similarity,
)
from git_copilot.index.search.retriever import MIN_PARTIAL, Searcher, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from git_copilot.index.embedding.vectors import Neighbour
    from git_copilot.index.search.chunk_table import Flags

# Results taken from each of the lexical and dense searches.
CANDIDATES = 40
# Limits on the definitions of one name, and on names with the typed prefix.
MAX_DEFINITIONS, MAX_PREFIXED = 2000, 10
# The most that each source adds to a score; the best lexical match scores 1. Chosen with
# bench/search.py on click, flask, datasette and mypy. Scores are added, not fused by rank: a text
# with the exact words of a query is far ahead of the next one, which ranks do not show.
TITLE, CODE_WORD, PREFIX, DENSE = 0.6, 0.2, 0.5, 0.1
# A match by path or exact name has a score above this, and no sum of others reaches it.
LEAD = 3.0
# Minimum cosine of a dense match.
MIN_COSINE = 0.5
# Every word has near neighbours, even an invented one (cosines up to 0.8). So dense matches count
# only if a word of the query, or one with the same stem (`authentication`, `authenticate`), occurs
# in the repository. The stem is this share of the word, and at least MIN_STEM letters.
STEM_SHARE, MIN_STEM = 0.7, 5


class CodeSearch(Searcher):
    """A :class:`Searcher` that also answers queries that people type."""

    # The list that the priors below were computed for; `ChunkTable` keeps it until the view
    # changes.
    _prior_paths: Sequence[str] | None = None
    _prior_of: tuple[NDArray[np.float64], NDArray[np.float64]]

    def defined(self, names: Iterable[str], overlay: Overlay = EMPTY_OVERLAY) -> set[str]:
        """Those of ``names`` that the repository defines."""
        wanted = set(names)
        rows = self._db.query(
            "SELECT DISTINCT name FROM symbols WHERE name IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(wanted)),),
        )
        uncommitted = (s.name for c in overlay.chunks("", "") for s in c.chunk.symbols)
        return {str(row[0]) for row in rows} | wanted.intersection(uncommitted)

    def known(self, names: Iterable[str], overlay: Overlay = EMPTY_OVERLAY) -> set[str]:
        """Those of ``names`` that some chunk of the view or the overlay contains, in any case; all
        of them while nothing is indexed."""
        self.refresh()
        if not len(self._table.ids):
            return set(names)
        words = {word for each in overlay.chunks("", "") for word in each.words.counts}
        return {n for n in names if n.lower() in words or self._lexicon.contains(n)}

    def search_code(
        self,
        text: str,
        count: int,
        embedder: Embedder | None,
        overlay: Overlay = EMPTY_OVERLAY,
    ) -> list[Hit]:
        """The ``count`` best distinct chunks for a typed query, best first; empty if nothing
        matches. The order is deterministic."""
        query = parse_query(text)
        if count < 1 or not query.text:
            return []
        self.refresh()
        allowed = self._table.allowed("", set(overlay.paths))
        uncommitted = list(overlay.chunks("", ""))
        near = self._begin_near(query.text, embedder)
        ranking = _Ranking()
        ranking.lead("path", self._by_path(query, allowed, uncommitted))
        exact = self._exact(query, allowed, uncommitted)
        if query.name:
            ranking.lead("definition", exact)
            if not exact and query.owners:
                beginning = "/".join((*query.owners, query.name))
                ranking.lead("path", self._by_path(query, allowed, uncommitted, beginning))
            ranking.add("definition", self._with_prefix(query, allowed, uncommitted), PREFIX)
        else:
            ranking.add("definition", dict.fromkeys(exact, 1.0), CODE_WORD)
        lexical = self._by_words(query, allowed, uncommitted)
        ranking.add("lexical", lexical, 1.0)
        dense = self._near(near, allowed) if lexical or self._related(query) else {}
        ranking.add("dense", dense, DENSE)
        titles = self._by_title(query, [*lexical, *dense], allowed, uncommitted)
        ranking.add("definition", titles, TITLE)
        return self.distinct(ranking.ranked(), count, overlay)

    def _begin_near(self, text: str, embedder: Embedder | None) -> Future[list[Neighbour]] | None:
        """Start the dense search in the background."""
        if embedder is None or self._vectors is None:
            return None
        self._vectors.refresh(self._db)
        return self._beside.submit(nearest, self._vectors, embedder, [text], self._table.all_ids)

    def _related(self, query: ParsedQuery) -> bool:
        """Whether a word in the view has a stem in common with the query."""
        stems = (word[: max(MIN_STEM, round(STEM_SHARE * len(word)))] for word in query.words)
        match = " OR ".join(f'"{stem}" *' for stem in stems if len(stem) >= MIN_STEM)
        if not match:
            return False
        ask = "SELECT json_group_array(rowid) FROM chunks_fts WHERE chunks_fts MATCH ?"
        return bool(len(self._table.locate(parse_integers(self._db.query(ask, (match,))[0][0]))))

    def _near(self, near: Future[list[Neighbour]] | None, allowed: Flags) -> dict[ChunkRef, float]:
        """The dense matches, with their cosines."""
        found = [(i, cosine) for i, cosine in near.result() if cosine >= MIN_COSINE] if near else []
        refs = self._table.refs((i for i, _ in found), allowed)
        return {refs[i]: cosine for i, cosine in found[:CANDIDATES] if i in refs}

    def _by_words(
        self, query: ParsedQuery, allowed: Flags, uncommitted: Sequence[UncommittedChunk]
    ) -> dict[ChunkRef, float]:
        """Lexical matches, with tests, prose and data weighted below code, as shares of the best
        score."""
        values = self._lexicon.values(query.words)
        priors = self._priors_of_files(query.wants_tests)
        found = [
            (-score, self._table.ref(position))
            for position, score in self._lexicon.rank(values, allowed, priors, CANDIDATES)
        ]
        for each in uncommitted:
            score = self._lexicon.score(values, each.words)
            if score:
                prior = file_prior(each.file.path, tests=query.wants_tests)
                found.append((-score * prior, each.ref))
        best = sorted(found)[:CANDIDATES]
        return {ref: score / best[0][0] for score, ref in best}

    def _priors_of_files(self, tests: bool) -> NDArray[np.float64]:
        """:func:`.query_parser.file_prior` for each position."""
        paths = self._table.paths
        if self._prior_paths is not paths:
            usual, of_tests = (
                np.asarray([file_prior(path, tests=each) for path in paths], np.float64)
                for each in (False, True)
            )
            self._prior_of = usual[self._table.file_of], of_tests[self._table.file_of]
            self._prior_paths = paths
        return self._prior_of[tests]

    def _exact(
        self, query: ParsedQuery, allowed: Flags, uncommitted: Sequence[UncommittedChunk]
    ) -> list[ChunkRef]:
        """Definitions of the typed name, best match first; for a query of several words, of those
        words that look like code."""
        if query.name:
            wanted = self._symbols("name = ? COLLATE NOCASE", [query.name], allowed)
            folded = query.name.lower()
            wanted += _uncommitted_symbols(uncommitted, lambda name: name.lower() == folded)
        else:
            marks = ",".join("?" * len(query.code_words))
            wanted = self._symbols(f"name IN ({marks})", query.code_words, allowed)
            code_words = set(query.code_words)
            wanted += _uncommitted_symbols(uncommitted, lambda name: name in code_words)
        fits: dict[ChunkRef, tuple[object, ...]] = {}
        for ref, symbol in wanted:
            fit = (*definition_rank(query, symbol, ref.path), ref)
            fits[ref] = min(fit, fits.get(ref, fit))
        return sorted(fits, key=lambda ref: fits[ref])

    def _with_prefix(
        self, query: ParsedQuery, allowed: Flags, uncommitted: Sequence[UncommittedChunk]
    ) -> dict[ChunkRef, float]:
        """Definitions whose names start with the typed name, shortest names first."""
        begun = query.name
        if len(begun) < MIN_PARTIAL:
            return {}
        where = "name > ? COLLATE NOCASE AND name < ? COLLATE NOCASE ORDER BY length(name), name"
        found = self._symbols(where, [begun, f"{begun}\U0010ffff"], allowed)
        low = begun.lower()
        found += _uncommitted_symbols(
            uncommitted, lambda name: name.lower().startswith(low) and name.lower() != low
        )
        order = sorted((len(s.name), definition_rank(query, s, ref.path), ref) for ref, s in found)
        refs = list(dict.fromkeys(ref for *_, ref in order))[:MAX_PREFIXED]
        return {ref: 1 - rank / MAX_PREFIXED for rank, ref in enumerate(refs)}

    def _symbols(
        self, where: str, values: Sequence[str], allowed: Flags
    ) -> list[tuple[ChunkRef, Symbol]]:
        """Symbols in the view, once for each place."""
        rows = self._db.query(
            f"SELECT chunk_id, name, kind, line, signature, scope FROM symbols WHERE {where}"
            f" LIMIT {MAX_DEFINITIONS}",
            tuple(values),
        )
        ids = np.asarray([int(str(row[0])) for row in rows], np.int64)
        positions, rows_found = self._table.positions(ids, allowed)
        found = []
        for position, number in zip(positions.tolist(), rows_found.tolist(), strict=True):
            _, name, kind, line, signature, scope = map(str, rows[number])
            symbol = Symbol(name, kind, int(line), signature, scope)
            found.append((self._table.ref(position), symbol))
        return found

    def _by_title(
        self,
        query: ParsedQuery,
        refs: Sequence[ChunkRef],
        allowed: Flags,
        uncommitted: Sequence[UncommittedChunk],
    ) -> dict[ChunkRef, float]:
        """How similar the names defined by ``refs`` are to the query's words."""
        here = dict.fromkeys(refs)
        numbers = ",".join(str(ref.chunk_id) for ref in here if ref.chunk_id >= 0)
        symbols = self._symbols(f"chunk_id IN ({numbers})", [], allowed)
        symbols += [(e.ref, s) for e in uncommitted if e.ref in here for s in e.chunk.symbols]
        fits: dict[ChunkRef, float] = {}
        for ref, symbol in symbols:
            fits[ref] = max(title_similarity(query, symbol), fits.get(ref, 0.0))
        return {ref: fit for ref, fit in fits.items() if fit}

    def _by_path(
        self,
        query: ParsedQuery,
        allowed: Flags,
        uncommitted: Sequence[UncommittedChunk],
        typed: str = "",
    ) -> list[ChunkRef]:
        """The first chunks of files whose paths contain the query, closest match first."""
        fragment = typed or query.path
        if not fragment:
            return []
        found = []
        for number, path in enumerate(self._table.paths):
            fit = path_rank(fragment, path)
            position = int(self._table.first[number])
            if fit and position < int(self._table.first[number + 1]) and allowed[position]:
                found.append((*fit, self._table.ref(position)))
        for each in uncommitted:
            fit = path_rank(fragment, each.ref.path) if each.ref.ordinal == 0 else ()
            if fit:
                found.append((*fit, each.ref))
        return [entry[-1] for entry in sorted(found)[:CANDIDATES]]


class _Ranking:
    """Scores of chunks, and the sources that found them."""

    def __init__(self) -> None:
        self._scores: dict[ChunkRef, float] = {}
        self._sources: dict[ChunkRef, list[str]] = {}
        self._first: list[ChunkRef] = []

    def add(self, source: str, found: Mapping[ChunkRef, float], weight: float) -> None:
        """Add ``weight`` times a value from 0 to 1 to each score."""
        for ref, value in found.items():
            self._scores[ref] = self._scores.get(ref, 0.0) + weight * value
            named = self._sources.setdefault(ref, [])
            if source not in named:
                named.append(source)

    def lead(self, source: str, found: Sequence[ChunkRef]) -> None:
        """Rank ``found`` before all scored results, in this order, after earlier calls."""
        self.add(source, dict.fromkeys(found, 0.0), 0.0)
        self._first = list(dict.fromkeys((*self._first, *found)))

    def ranked(self) -> list[FusedResult]:
        """Best first; ties by path and position."""
        count = len(self._first)
        scores = {**self._scores}
        scores |= {ref: LEAD + (count - at) / count for at, ref in enumerate(self._first)}
        order = sorted(scores, key=lambda ref: (-scores[ref], ref))
        return [FusedResult(s, scores[s], tuple(self._sources[s])) for s in order]


def _uncommitted_symbols(
    uncommitted: Iterable[UncommittedChunk], wanted: Callable[[str], bool]
) -> list[tuple[ChunkRef, Symbol]]:
    return [(e.ref, s) for e in uncommitted for s in e.chunk.symbols if wanted(s.name)]
