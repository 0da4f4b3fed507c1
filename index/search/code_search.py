"""Answers what people ask of a repository: ``git copilot search``.

A completion wants snippets that show how names near the cursor are used, so there a definition is one
source among several. A person who types a name wants to see where it is defined: exact definitions
come first, then what words, names and meaning say.
"""

from __future__ import annotations

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

# How many places words and meaning hand on.
CANDIDATES = 40
# Definitions of one name that are looked at, and names that begin with what was typed.
MAX_DEFINITIONS, MAX_BEGUN = 2000, 10
# What each source adds at most to a score: words are worth 1 where they fit best. Chosen with
# bench/search.py on click, flask, datasette and mypy. Added up, not fused by rank: a text that has the
# very words of a query is far ahead of the next one, which ranks do not tell.
TITLED, CODED, BEGUN, DENSE = 0.6, 0.2, 0.5, 0.1
# What is asked for by its path or its exact name has a score above this, and no sum of others reaches it.
LEAD = 3.0
# Nearest by meaning counts from this cosine on.
MIN_COSINE = 0.5
# Every word has a vector, near to something, also one that nobody wrote (made-up words reach a cosine
# of 0.8). So meaning counts only where a word of the query, or one that begins alike
# (`authentication`, `authenticate`), is known here: so much of it, and at least so many letters.
STEM_SHARE, MIN_STEM = 0.7, 5


class CodeSearch(Searcher):
    """A :class:`Searcher` that also answers queries which people type."""

    # The paths that the priors below were made of; `Shown` keeps the list while it shows the same.
    _prior_paths: Sequence[str] | None = None
    _prior_of: tuple[NDArray[np.float64], NDArray[np.float64]]

    def look_up(
        self,
        text: str,
        count: int,
        embedder: Embedder | None,
        overlay: Overlay = EMPTY_OVERLAY,
    ) -> list[Hit]:
        """The ``count`` best distinct chunks for what a person typed, best first; none where nothing
        fits. The order is deterministic."""
        asked = parse_query(text)
        if count < 1 or not asked.text:
            return []
        self.refresh()
        allowed = self._shown.allowed("", set(overlay.paths))
        loose = list(overlay.chunks("", ""))
        near = self._begin_near(asked.text, embedder)
        ranking = _Ranking()
        ranking.lead("path", self._by_path(asked, allowed, loose))
        exact = self._exact(asked, allowed, loose)
        if asked.name:
            ranking.lead("definition", exact)
            if not exact and asked.owners:
                beginning = "/".join((*asked.owners, asked.name))
                ranking.lead("path", self._by_path(asked, allowed, loose, beginning))
            ranking.add("definition", self._begun(asked, allowed, loose), BEGUN)
        else:
            ranking.add("definition", dict.fromkeys(exact, 1.0), CODED)
        lexical = self._by_words(asked, allowed, loose)
        ranking.add("lexical", lexical, 1.0)
        dense = self._near(near, allowed) if lexical or self._related(asked) else {}
        ranking.add("dense", dense, DENSE)
        titles = self._titled(asked, [*lexical, *dense], allowed, loose)
        ranking.add("definition", titles, TITLED)
        return self.distinct(ranking.ranked(), count, overlay)

    def _begin_near(self, text: str, embedder: Embedder | None) -> Future[list[Neighbour]] | None:
        """Look for the chunks whose meaning is nearest, beside everything else."""
        if embedder is None or self._vectors is None:
            return None
        self._vectors.refresh(self._db)
        return self._beside.submit(nearest, self._vectors, embedder, [text], self._shown.all_ids)

    def _related(self, asked: ParsedQuery) -> bool:
        """Whether a word here begins like one of the query's."""
        stems = (word[: max(MIN_STEM, round(STEM_SHARE * len(word)))] for word in asked.words)
        match = " OR ".join(f'"{stem}" *' for stem in stems if len(stem) >= MIN_STEM)
        if not match:
            return False
        ask = "SELECT json_group_array(rowid) FROM chunks_fts WHERE chunks_fts MATCH ?"
        return bool(len(self._shown.locate(parse_integers(self._db.query(ask, (match,))[0][0]))))

    def _near(self, near: Future[list[Neighbour]] | None, allowed: Flags) -> dict[ChunkRef, float]:
        """The nearest, with their cosines."""
        found = [(i, cosine) for i, cosine in near.result() if cosine >= MIN_COSINE] if near else []
        spots = self._shown.spots((i for i, _ in found), allowed)
        return {spots[i]: cosine for i, cosine in found[:CANDIDATES] if i in spots}

    def _by_words(
        self, asked: ParsedQuery, allowed: Flags, loose: Sequence[UncommittedChunk]
    ) -> dict[ChunkRef, float]:
        """What has the words, those of code before those of tests, prose and data: its share of
        the best one's score."""
        values = self._lexicon.values(asked.words)
        priors = self._priors_of_files(asked.of_tests)
        found = [
            (-score, self._shown.spot(position))
            for position, score in self._lexicon.rank(values, allowed, priors, CANDIDATES)
        ]
        for each in loose:
            score = self._lexicon.score(values, each.words)
            if score:
                prior = file_prior(each.file.path, tests=asked.of_tests)
                found.append((-score * prior, each.spot))
        best = sorted(found)[:CANDIDATES]
        return {spot: score / best[0][0] for score, spot in best}

    def _priors_of_files(self, tests: bool) -> NDArray[np.float64]:
        """:func:`.query_parser.file_prior` for each position."""
        paths = self._shown.paths
        if self._prior_paths is not paths:
            usual, of_tests = (
                np.asarray([file_prior(path, tests=each) for path in paths], np.float64)
                for each in (False, True)
            )
            self._prior_of = usual[self._shown.file_of], of_tests[self._shown.file_of]
            self._prior_paths = paths
        return self._prior_of[tests]

    def _exact(
        self, asked: ParsedQuery, allowed: Flags, loose: Sequence[UncommittedChunk]
    ) -> list[ChunkRef]:
        """What defines the name that was typed, the best fitting first; or, among several words,
        those that only code spells like that."""
        if asked.name:
            wanted = self._symbols("name = ? COLLATE NOCASE", [asked.name], allowed)
            folded = asked.name.lower()
            wanted += _loose_symbols(loose, lambda name: name.lower() == folded)
        else:
            marks = ",".join("?" * len(asked.coded))
            wanted = self._symbols(f"name IN ({marks})", asked.coded, allowed)
            coded = set(asked.coded)
            wanted += _loose_symbols(loose, lambda name: name in coded)
        fits: dict[ChunkRef, tuple[object, ...]] = {}
        for spot, symbol in wanted:
            fit = (*definition_rank(asked, symbol, spot.path), spot)
            fits[spot] = min(fit, fits.get(spot, fit))
        return sorted(fits, key=lambda spot: fits[spot])

    def _begun(
        self, asked: ParsedQuery, allowed: Flags, loose: Sequence[UncommittedChunk]
    ) -> dict[ChunkRef, float]:
        """Definitions whose names begin with the name that was typed, the shortest names first."""
        begun = asked.name
        if len(begun) < MIN_PARTIAL:
            return {}
        where = "name > ? COLLATE NOCASE AND name < ? COLLATE NOCASE ORDER BY length(name), name"
        found = self._symbols(where, [begun, f"{begun}\U0010ffff"], allowed)
        low = begun.lower()
        found += _loose_symbols(
            loose, lambda name: name.lower().startswith(low) and name.lower() != low
        )
        order = sorted(
            (len(s.name), definition_rank(asked, s, spot.path), spot) for spot, s in found
        )
        spots = list(dict.fromkeys(spot for *_, spot in order))[:MAX_BEGUN]
        return {spot: 1 - rank / MAX_BEGUN for rank, spot in enumerate(spots)}

    def _symbols(
        self, where: str, values: Sequence[str], allowed: Flags
    ) -> list[tuple[ChunkRef, Symbol]]:
        """Symbols that the view shows, at each of their places."""
        rows = self._db.query(
            f"SELECT chunk_id, name, kind, line, signature, scope FROM symbols WHERE {where}"
            f" LIMIT {MAX_DEFINITIONS}",
            tuple(values),
        )
        ids = np.asarray([int(str(row[0])) for row in rows], np.int64)
        positions, asked = self._shown.positions(ids, allowed)
        found = []
        for position, number in zip(positions.tolist(), asked.tolist(), strict=True):
            _, name, kind, line, signature, scope = map(str, rows[number])
            symbol = Symbol(name, kind, int(line), signature, scope)
            found.append((self._shown.spot(position), symbol))
        return found

    def _titled(
        self,
        asked: ParsedQuery,
        spots: Sequence[ChunkRef],
        allowed: Flags,
        loose: Sequence[UncommittedChunk],
    ) -> dict[ChunkRef, float]:
        """How well the names that ``spots`` define are made of the query's words."""
        here = dict.fromkeys(spots)
        numbers = ",".join(str(spot.chunk_id) for spot in here if spot.chunk_id >= 0)
        symbols = self._symbols(f"chunk_id IN ({numbers})", [], allowed)
        symbols += [(e.spot, s) for e in loose if e.spot in here for s in e.chunk.symbols]
        fits: dict[ChunkRef, float] = {}
        for spot, symbol in symbols:
            fits[spot] = max(title_similarity(asked, symbol), fits.get(spot, 0.0))
        return {spot: fit for spot, fit in fits.items() if fit}

    def _by_path(
        self, asked: ParsedQuery, allowed: Flags, loose: Sequence[UncommittedChunk], typed: str = ""
    ) -> list[ChunkRef]:
        """The beginnings of the files whose paths hold what was typed, the closest first."""
        fragment = typed or asked.path
        if not fragment:
            return []
        found = []
        for number, path in enumerate(self._shown.paths):
            fit = path_rank(fragment, path)
            position = int(self._shown.first[number])
            if fit and position < int(self._shown.first[number + 1]) and allowed[position]:
                found.append((*fit, self._shown.spot(position)))
        for each in loose:
            fit = path_rank(fragment, each.spot.path) if each.spot.ordinal == 0 else ()
            if fit:
                found.append((*fit, each.spot))
        return [entry[-1] for entry in sorted(found)[:CANDIDATES]]


class _Ranking:
    """Scores of places, and which sources speak for them."""

    def __init__(self) -> None:
        self._scores: dict[ChunkRef, float] = {}
        self._sources: dict[ChunkRef, list[str]] = {}
        self._first: list[ChunkRef] = []

    def add(self, source: str, found: Mapping[ChunkRef, float], weight: float) -> None:
        """Add ``weight`` times a value from 0 to 1 to each score."""
        for spot, value in found.items():
            self._scores[spot] = self._scores.get(spot, 0.0) + weight * value
            named = self._sources.setdefault(spot, [])
            if source not in named:
                named.append(source)

    def lead(self, source: str, found: Sequence[ChunkRef]) -> None:
        """Put ``found`` before all that scores say, in this order, behind what was put there
        before."""
        self.add(source, dict.fromkeys(found, 0.0), 0.0)
        self._first = list(dict.fromkeys((*self._first, *found)))

    def ranked(self) -> list[FusedResult]:
        """Best first; ties by place."""
        count = len(self._first)
        scores = {**self._scores}
        scores |= {spot: LEAD + (count - at) / count for at, spot in enumerate(self._first)}
        order = sorted(scores, key=lambda spot: (-scores[spot], spot))
        return [FusedResult(s, scores[s], tuple(self._sources[s])) for s in order]


def _loose_symbols(
    loose: Iterable[UncommittedChunk], wanted: Callable[[str], bool]
) -> list[tuple[ChunkRef, Symbol]]:
    return [(e.spot, s) for e in loose for s in e.chunk.symbols if wanted(s.name)]
