"""FAISS over the vectors of the database.

``vectors.faiss`` is a snapshot: vectors that came later are read from the database and added in
memory, until they are worth writing a new snapshot. A damaged snapshot is rebuilt from the
database without embedding anything again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from git_copilot.index.db import Database
from git_copilot.index.store import iter_vectors

if TYPE_CHECKING:
    from git_copilot.index.types import Embedder, Vectors

SNAPSHOT_NAME = "vectors.faiss"
# A tail is loaded in a few milliseconds per thousand vectors; beyond a quarter of the snapshot
# (and this many) writing a new one is cheaper than loading the tail again and again.
MIN_TAIL = 5000
LOAD_BATCH = 50_000


class VectorIndex:
    """Exact inner-product search over chunk ids."""

    def __init__(self, index: Any, embedder: str, database: str, last_seq: int) -> None:
        self._index = index
        self.embedder = embedder
        self._database = database
        self._last_seq = last_seq

    @classmethod
    def load(cls, db: Database, folder: Path, embedder: str, dimensions: int) -> VectorIndex:
        """Read the snapshot, or start empty when it is missing, damaged, or of another embedder
        or database, then add what the database has beyond it."""
        loaded = cls._read(folder, embedder, dimensions, db.identity) or cls(
            faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions)), embedder, db.identity, 0
        )
        snapshot_size = loaded.size
        loaded.refresh(db)
        if loaded.size - snapshot_size > max(MIN_TAIL, snapshot_size // 4):
            with contextlib.suppress(OSError):  # a cache: read-only state still answers
                loaded.save(folder)
        return loaded

    @classmethod
    def _read(
        cls, folder: Path, embedder: str, dimensions: int, database: str
    ) -> VectorIndex | None:
        path = folder / SNAPSHOT_NAME
        try:
            facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
            if (facts["embedder"], facts["database"]) != (embedder, database):
                return None
            if path.stat().st_size != facts["bytes"]:
                return None
            index = faiss.read_index(str(path))
            if index.d != dimensions or index.ntotal != facts["vectors"]:
                return None
            return cls(index, embedder, database, int(facts["last_seq"]))
        except (OSError, ValueError, KeyError, RuntimeError):  # RuntimeError: FAISS cannot parse
            return None

    @property
    def size(self) -> int:
        return int(self._index.ntotal)

    def refresh(self, db: Database) -> int:
        """Add the vectors that the database got since; return how many."""
        added = 0
        ids: list[int] = []
        rows: list[bytes] = []
        for seq, chunk_id, vector in iter_vectors(db, self.embedder, self._last_seq):
            self._last_seq = seq
            ids.append(chunk_id)
            rows.append(vector)
            if len(ids) == LOAD_BATCH:
                added += self._add(ids, rows)
                ids, rows = [], []
        return added + self._add(ids, rows)

    def _add(self, ids: Sequence[int], rows: Sequence[bytes]) -> int:
        if ids:
            matrix = np.frombuffer(b"".join(rows), dtype="<f2").reshape(len(ids), -1)
            self._index.add_with_ids(matrix.astype(np.float32), np.asarray(ids, dtype=np.int64))
        return len(ids)

    def save(self, folder: Path) -> None:
        """Write the snapshot beside the old one and rename it into place."""
        path = folder / SNAPSHOT_NAME
        temporary = folder / f".{SNAPSHOT_NAME}.{os.getpid()}"
        try:
            faiss.write_index(self._index, str(temporary))
            facts = {
                "embedder": self.embedder,
                "vectors": self.size,
                "database": self._database,
                "last_seq": self._last_seq,
                "bytes": temporary.stat().st_size,
            }
            facts_file = folder / f".{SNAPSHOT_NAME}.json.{os.getpid()}"
            facts_file.write_text(json.dumps(facts), "utf-8")
            temporary.replace(path)
            facts_file.replace(path.with_suffix(".json"))
        except RuntimeError as exc:  # FAISS reports a full disk this way
            raise OSError(f"cannot write {path}: {exc}") from exc
        finally:
            temporary.unlink(missing_ok=True)

    def search(
        self, query: Vectors, count: int, allowed: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """The nearest chunk ids, best first, ties by id.

        :param query: shape ``(dimensions,)``, unit length.
        :param allowed: only these chunk ids (``None``: all).
        """
        if self.size == 0 or (allowed is not None and not len(allowed)):
            return []
        parameters = None
        if allowed is not None:
            selector = faiss.IDSelectorBatch(np.asarray(allowed, dtype=np.int64))
            make: Any = faiss.SearchParameters  # its stub knows no keyword
            parameters = make(sel=selector)
        scores, ids = self._index.search(
            query.reshape(1, -1).astype(np.float32), min(count, self.size), params=parameters
        )
        found = [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def load_vectors(db: Database, folder: Path, embedder: Embedder | None) -> VectorIndex | None:
    """The vectors of ``embedder``, or ``None`` without one."""
    if embedder is None:
        return None
    return VectorIndex.load(db, folder, embedder.name, embedder.dimensions)
