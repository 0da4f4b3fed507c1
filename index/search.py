"""Finds chunks of one worktree's view: by words, by meaning, by defined name."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from git_copilot.index.db import Database
from git_copilot.index.fuse import distinct, fuse
from git_copilot.index.store import view_chunk_ids, view_paths, view_tree
from git_copilot.index.terms import IDENTIFIER, STOP_WORDS, fts_query, query_terms
from git_copilot.index.types import Embedder, Hit
from git_copilot.index.vectors import VectorIndex

# How many hits each source hands to the fusion.
CANDIDATES = 40
# A name defined in more chunks than this (`__init__`, `main`) says nothing.
MAX_DEFINITIONS = 4
MAX_DEFINITION_NAMES = 60
# A shorter start of an identifier fits too many names; of longer ones the first few are enough.
MIN_PARTIAL, MAX_STARTED = 3, 3
# Files that imports may mean, and how much of each: the best names of a module stand first.
MAX_MODULES, MAX_CHUNKS_OF_MODULE = 6, 2
# A package's own module carries the name of its folder.
_PACKAGE_FILES = ("__init__", "index", "mod")

_COLUMNS = "c.id, f.path, b.oid, c.start_line, c.end_line, c.text, b.language"
_JOIN = (
    " JOIN blobs b ON b.id = c.blob_id JOIN files f ON f.blob_id = c.blob_id"
    " JOIN views v ON v.id = f.view_id"
)


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for.

    ``text`` is what the words and the meaning are taken from, ``names`` are identifiers whose
    definitions are wanted (best first), ``partial`` is the start of an identifier that is being
    typed, ``modules`` are names that may be files of this
    repository (best first), ``exclude`` is a path that is known already, ``near`` the path of the
    cursor, ``language`` restricts hits to one language.
    """

    text: str
    names: tuple[str, ...] = ()
    partial: str = ""
    modules: tuple[str, ...] = ()
    exclude: str = ""
    near: str = ""
    language: str = ""


class Searcher:
    """Searches one view. Holds the FAISS index in memory and brings it up to date by itself."""

    def __init__(self, db: Database, view: str, vectors: VectorIndex | None) -> None:
        self._db = db
        self._view = view
        self._vectors = vectors
        self._allowed: tuple[str, list[int]] | None = None

    def search(self, query: Query, count: int, embedder: Embedder | None) -> list[Hit]:
        """The ``count`` best distinct chunks, best first; the order is deterministic."""
        lists = {
            "typed": self.typed(query),
            "definition": self.definitions(query),
            "lexical": self.lexical(query),
            "dense": self.dense(query, embedder) if embedder else [],
        }
        return distinct(fuse(lists, query.near), count)

    def lexical(self, query: Query) -> list[Hit]:
        """By bm25 over whole and split identifiers."""
        words = query_terms(query.text)
        if not words:
            return []
        sql = (
            f"SELECT {_COLUMNS}, -bm25(chunks_fts) AS score FROM chunks_fts"
            f" JOIN chunks c ON c.id = chunks_fts.rowid{_JOIN}"
            " WHERE chunks_fts MATCH ? AND v.name = ? AND f.path != ?"
            " AND (? = '' OR b.language = ?)"
            " ORDER BY score DESC, f.path, c.start_line LIMIT ?"
        )
        rows = self._db.query(
            sql,
            (
                fts_query(words),
                self._view,
                os.fsencode(query.exclude),
                query.language,
                query.language,
                CANDIDATES,
            ),
        )
        return self._hits(rows)

    def dense(self, query: Query, embedder: Embedder) -> list[Hit]:
        """By cosine of embeddings."""
        if self._vectors is None:
            return []
        self._vectors.refresh(self._db)
        vector = embedder.encode([query.text])[0]
        # The file at the cursor and other languages are dropped afterwards, so ask for more.
        nearest = self._vectors.search(vector, 3 * CANDIDATES, self._allowed_ids())
        marks = ",".join("?" * len(nearest))
        rows = self._db.query(
            f"SELECT {_COLUMNS}, 0.0 FROM chunks c{_JOIN} WHERE c.id IN ({marks})"
            " AND v.name = ? AND f.path != ? AND (? = '' OR b.language = ?)",
            (
                *(chunk_id for chunk_id, _ in nearest),
                self._view,
                os.fsencode(query.exclude),
                query.language,
                query.language,
            ),
        )
        scores = dict(nearest)
        hits = self._hits(rows)
        hits.sort(key=lambda h: (-scores[h.chunk_id], h.path, h.start_line))
        return hits[:CANDIDATES]

    def definitions(self, query: Query) -> list[Hit]:
        """In turn: chunks that define one of the query's names, and the first chunks of the
        modules it imports."""
        lists = (self._named(query), self._imported(query))
        merged = [h for turn in zip_longest(*lists) for h in turn if h is not None]
        return list({hit.chunk_id: hit for hit in merged}.values())[:CANDIDATES]

    def typed(self, query: Query) -> list[Hit]:
        """Definitions whose names begin with the identifier that is being typed, the shortest
        names first."""
        if len(query.partial) < MIN_PARTIAL:
            return []
        rows = self._db.query(
            f"SELECT {_COLUMNS}, 0.0 FROM symbols s JOIN chunks c ON c.id = s.chunk_id{_JOIN}"
            " WHERE s.name > ? AND s.name < ? AND v.name = ? AND f.path != ?"
            " AND (? = '' OR b.language = ?) ORDER BY length(s.name), s.name, f.path, s.line LIMIT ?",
            (
                query.partial,
                f"{query.partial}\U0010ffff",
                self._view,
                os.fsencode(query.exclude),
                query.language,
                query.language,
                MAX_STARTED,
            ),
        )
        return self._hits(rows)

    def _imported(self, query: Query) -> list[Hit]:
        """Definitions in files that are called like one of the query's modules."""
        wanted = {name: rank for rank, name in reversed(list(enumerate(query.modules)))}
        if not wanted:
            return []
        files = [p for p in view_paths(self._db, self._view) if p != query.exclude]
        ranked = sorted((wanted[m], p) for p in files if (m := module_name(p)) in wanted)
        hits: list[Hit] = []
        for _, path in ranked[:MAX_MODULES]:
            rows = self._db.query(
                f"SELECT {_COLUMNS}, 0.0 FROM chunks c{_JOIN} WHERE v.name = ? AND f.path = ?"
                " AND (? = '' OR b.language = ?) AND c.name != '' ORDER BY c.start_line LIMIT ?",
                (
                    self._view,
                    os.fsencode(path),
                    query.language,
                    query.language,
                    MAX_CHUNKS_OF_MODULE,
                ),
            )
            hits.extend(self._hits(rows))
        return hits

    def _named(self, query: Query) -> list[Hit]:
        names = [n for n in dict.fromkeys(query.names) if n.lower() not in STOP_WORDS]
        names = names[:MAX_DEFINITION_NAMES]
        if not names:
            return []
        marks = ",".join("?" * len(names))
        rows = self._db.query(
            f"SELECT {_COLUMNS}, 0.0, s.name FROM symbols s JOIN chunks c ON c.id = s.chunk_id"
            f"{_JOIN} WHERE s.name IN ({marks}) AND v.name = ? AND f.path != ?"
            " AND (? = '' OR b.language = ?)",
            (
                *names,
                self._view,
                os.fsencode(query.exclude),
                query.language,
                query.language,
            ),
        )
        by_name: dict[str, list[Hit]] = {}
        for row in rows:
            by_name.setdefault(str(row[8]), []).extend(self._hits([row[:8]]))
        found: dict[int, Hit] = {}
        for name in names:
            hits = sorted(by_name.get(name, []), key=lambda h: (h.path, h.start_line))
            if len(hits) <= MAX_DEFINITIONS:
                for hit in hits:
                    found.setdefault(hit.chunk_id, hit)
        return list(found.values())

    def _allowed_ids(self) -> list[int]:
        tree = view_tree(self._db, self._view) or ""
        if self._allowed is None or self._allowed[0] != tree:
            self._allowed = (tree, view_chunk_ids(self._db, self._view))
        return self._allowed[1]

    @staticmethod
    def _hits(rows: Sequence[tuple[object, ...]]) -> list[Hit]:
        """Rows of :data:`_COLUMNS` and a score. A blob under several paths is one hit: the
        first path."""
        hits: dict[int, Hit] = {}
        for chunk_id, path, oid, first, last, text, language, score in rows:
            hit = Hit(
                int(str(chunk_id)),
                os.fsdecode(bytes(path)),  # type: ignore[call-overload]
                str(oid),
                int(str(first)),
                int(str(last)),
                str(text),
                float(str(score)),
                (),
                str(language),
            )
            kept = hits.get(hit.chunk_id)
            if kept is None or hit.path < kept.path:
                hits[hit.chunk_id] = hit
        return list(hits.values())


def module_name(path: str) -> str:
    """What code that imports the file calls it: its stem, or its folder for a package's file."""
    stem = posixpath.basename(path).partition(".")[0]
    return posixpath.basename(posixpath.dirname(path)) if stem in _PACKAGE_FILES else stem


def names_in(text: str) -> list[str]:
    """Identifiers of ``text``, those nearest its end first, each once."""
    return list(dict.fromkeys(reversed(IDENTIFIER.findall(text))))
