"""Vector search with FAISS over the vectors in the database.

``vectors.faiss`` is a snapshot. Later vectors are read from the database into a tail until a new
snapshot pays. A damaged snapshot is rebuilt from the database without embedding anything again.
Vectors of deleted chunks are filtered out; chunk ids are never reused.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from git_copilot.index.store.database import Database
from git_copilot.index.store.views import iter_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from git_copilot.index.core.types import Embedder, Vectors

    Ids = NDArray[np.int64]
    Neighbour = tuple[int, float]  # chunk id, inner product

SNAPSHOT_NAME = "vectors.faiss"
# A tail is loaded in a few milliseconds per thousand vectors; beyond a quarter of the snapshot
# (and this many) writing a new one is cheaper than loading the tail again and again.
MIN_TAIL = 5000
LOAD_BATCH = 50_000
# If a smaller share of the vectors is allowed, or more than MAX_FETCH had to be fetched, FAISS gets
# a selector, which it evaluates for every vector.
FEW = 1 / 8
MAX_FETCH = 4096
READ_BYTES = 1 << 22
# The snapshot is memory-mapped: it opens at once (0.4 ms for 100,000 vectors; reading takes 30),
# and processes share its memory. 0: this FAISS is too old.
MAPPED = getattr(faiss, "IO_FLAG_MMAP_IFC", 0)
# Up to this number, search is exhaustive: 4 ms for 100,000 vectors of 256 dimensions on one thread,
# 65 for a million. Beyond, a sixteenth of 2 √n cells (IVF) is probed: 9 ms for a million, missing 5
# of 1,000 neighbours. int8 is no faster and misses 50 to 80, and so does HNSW over int8
# (bench/index.py --vectors).
EXACT_LIMIT = 200_000
CELLS_PER_ROOT = 2
# The share of cells that is probed, and the number of training vectors per cell.
PROBED = 1 / 16
TRAINING_PER_CELL = 50


def _exact(dimensions: int) -> Any:
    """An exhaustive index in the database's precision (float16): half the memory and time of
    float32, and the same result."""
    return faiss.IndexScalarQuantizer(
        dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )


def build_index(matrix: Vectors, ids: Ids, exact_limit: int = EXACT_LIMIT) -> Any:
    """Build the index of a snapshot. Deterministic.

    :param matrix: shape ``(len(ids), dimensions)``.
    :param exact_limit: with more rows an IVF index is built.
    """
    index = _exact(matrix.shape[1])
    if len(ids) > exact_limit:
        index = _cells(matrix)
    wrapped = faiss.IndexIDMap(index)
    wrapped.add_with_ids(matrix, ids)
    return wrapped


def _cells(matrix: Vectors) -> Any:
    """An empty IVF index, trained on the vectors of ``matrix``."""
    rows, dimensions = matrix.shape
    cells = max(1, int(CELLS_PER_ROOT * rows**0.5))
    index: Any = faiss.index_factory(dimensions, f"IVF{cells},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = max(1, round(cells * PROBED))
    index.by_residual = False  # the values that the database keeps, as in the tail
    index.cp.seed, index.cp.niter = 1, 10
    sample = np.random.default_rng(1).permutation(rows)[: TRAINING_PER_CELL * cells]
    index.train(matrix[np.sort(sample)])
    return index


class VectorIndex:
    """Inner-product search over chunk ids: a snapshot and a tail."""

    def __init__(self, dimensions: int, embedder: str, database: str) -> None:
        self.dimensions = dimensions
        self.embedder = embedder
        self._start(database)

    def _start(self, database: str) -> None:
        """Reset to an empty index for the database with this identity."""
        self._database = database
        self._base: Any = None
        self._tail = faiss.IndexIDMap(_exact(self.dimensions))
        self._last_seq = 0
        self._allowed: tuple[object, Ids] = (None, np.empty(0, np.int64))

    @classmethod
    def load(cls, db: Database, folder: Path, embedder: str, dimensions: int) -> VectorIndex:
        """Read the snapshot, or start empty if it is missing, damaged, or of another embedder or
        database, then add the later vectors of the database. A new snapshot is written if that
        pays and is quick; otherwise the worker writes it."""
        loaded = cls(dimensions, embedder, db.identity)
        loaded._read(folder)
        base = loaded.size
        loaded.refresh(db)
        if base < loaded.size <= EXACT_LIMIT and is_worth_saving(db, folder, embedder):
            with contextlib.suppress(OSError):  # a cache: read-only state still answers
                loaded.save(folder, db)
        return loaded

    def _read(self, folder: Path) -> None:
        path = folder / SNAPSHOT_NAME
        try:
            facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
            if (facts["embedder"], facts["database"]) != (self.embedder, self._database):
                return
            if (path.stat().st_size, _checksum(path)) != (facts["bytes"], facts["crc32"]):
                return
            index = faiss.read_index(str(path), MAPPED)
            if index.d == self.dimensions and index.ntotal == facts["vectors"]:
                self._base, self._last_seq = index, int(facts["last_seq"])
        except (OSError, ValueError, KeyError, RuntimeError):  # RuntimeError: FAISS cannot parse
            return

    @property
    def size(self) -> int:
        return int(self._tail.ntotal) + (int(self._base.ntotal) if self._base is not None else 0)

    def refresh(self, db: Database) -> int:
        """Add the vectors that are new in the database; return their number. If something was
        forgotten in the database, everything is reloaded."""
        if db.identity != self._database:
            self._start(db.identity)
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
            self._tail.add_with_ids(_matrix(rows), np.asarray(ids, dtype=np.int64))
        return len(ids)

    def save(self, folder: Path, db: Database | None = None) -> None:
        """Write a snapshot beside the old one and rename it into place.

        :param db: drops vectors of chunks that this database has deleted.
        :raises OSError: it cannot be written.
        """
        if db is not None or self._base is None or self._tail.ntotal:
            self._merge(db)
        path = folder / SNAPSHOT_NAME
        temporary = folder / f".{SNAPSHOT_NAME}.{os.getpid()}"
        facts_file = folder / f".{SNAPSHOT_NAME}.json.{os.getpid()}"
        try:
            faiss.write_index(self._base, str(temporary))
            facts = {
                "embedder": self.embedder,
                "vectors": self.size,
                "database": self._database,
                "last_seq": self._last_seq,
                "bytes": temporary.stat().st_size,
                "crc32": _checksum(temporary),
            }
            facts_file.write_text(json.dumps(facts), "utf-8")
            temporary.replace(path)
            facts_file.replace(path.with_suffix(".json"))
        except RuntimeError as exc:  # FAISS reports a full disk this way
            raise OSError(f"cannot write {path}: {exc}") from exc
        finally:
            temporary.unlink(missing_ok=True)
            facts_file.unlink(missing_ok=True)

    def _merge(self, db: Database | None) -> None:
        """Merge base and tail into a new base, without the chunks that ``db`` has deleted."""
        ids, matrix = self._everything()
        if db is not None:
            rows = db.query("SELECT chunk_id FROM vectors WHERE embedder = ?", (self.embedder,))
            kept = np.isin(ids, np.fromiter((int(str(i)) for (i,) in rows), np.int64, len(rows)))
            ids, matrix = ids[kept], matrix[kept]
        self._base = build_index(matrix, ids)
        self._tail = faiss.IndexIDMap(_exact(self.dimensions))

    def _everything(self) -> tuple[Ids, Vectors]:
        """All ids with their vectors, as float32 of shape ``(size, dimensions)``."""
        parts = [part for part in (self._base, self._tail) if part is not None]
        ids = [faiss.vector_to_array(part.id_map) for part in parts]
        rows = [part.index.reconstruct_n(0, part.ntotal) for part in parts if part.ntotal]
        empty = np.empty((0, self.dimensions), np.float32)
        return np.concatenate(ids), np.concatenate([*rows, empty])

    def search(
        self, query: Vectors, count: int, allowed: Sequence[int] | Ids | None = None
    ) -> list[Neighbour]:
        """The nearest chunk ids, best first, ties by id. Deleted chunks may be among them unless
        ``allowed`` is given.

        :param query: shape ``(dimensions,)``, unit length.
        :param allowed: only these chunk ids, ascending (``None``: all). Passing the same object
            again is cheaper.
        """
        if allowed is None:
            return self._nearest(query, count)
        if self._allowed[0] is not allowed:
            self._allowed = (allowed, np.asarray(allowed, dtype=np.int64))
        ids = self._allowed[1]
        if not len(ids):
            return []
        # Most vectors are usually allowed: fetching some more and filtering them takes a fifth
        # less time than a selector.
        fetch = 16 + count + count * max(0, self.size - len(ids)) // len(ids)
        while len(ids) > FEW * self.size and fetch < min(MAX_FETCH, self.size):
            found = self._nearest(query, fetch)
            places = np.searchsorted(ids, [i for i, _ in found])
            shown = [
                pair
                for pair, at in zip(found, places, strict=True)
                if at < len(ids) and ids[at] == pair[0]
            ]
            if len(shown) >= count:
                return shown[:count]
            fetch *= 4
        return self._nearest(query, count, ids)

    def _nearest(self, query: Vectors, count: int, only: Ids | None = None) -> list[Neighbour]:
        row = query.reshape(1, -1).astype(np.float32)
        found: list[Neighbour] = []
        for part in (self._base, self._tail):
            if part is None or not part.ntotal:
                continue
            parameters = None if only is None else _only(part, only)
            scores, ids = part.search(row, min(count, part.ntotal), params=parameters)
            found += [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:count]


def _only(part: Any, ids: Ids) -> Any:
    """Parameters for a search among a few ``ids``, in all cells."""
    selector = faiss.IDSelectorBatch(ids)
    make: Any = faiss.SearchParameters  # their stubs know no keyword
    inner = faiss.downcast_index(part.index)
    if isinstance(inner, faiss.IndexIVF):
        make = faiss.SearchParametersIVF
        return make(sel=selector, nprobe=inner.nlist)
    return make(sel=selector)


def is_worth_saving(db: Database, folder: Path, embedder: str) -> bool:
    """Whether the snapshot differs enough from the database for a new one to pay. Cheap."""
    try:
        facts = json.loads((folder / SNAPSHOT_NAME).with_suffix(".json").read_text("utf-8"))
        ours = (facts["embedder"], facts["database"]) == (embedder, db.identity)
        held, seen = (int(facts["vectors"]), int(facts["last_seq"])) if ours else (0, 0)
    except (OSError, ValueError, KeyError, TypeError):
        held = seen = 0
    count = "SELECT count(*) FROM vectors WHERE embedder = ? AND seq"
    tail = db.scalar(f"{count} > ?", (embedder, seen))
    gone = held - db.scalar(f"{count} <= ?", (embedder, seen))
    return max(tail, gone) > max(MIN_TAIL, held // 4)


def _matrix(rows: Sequence[bytes]) -> Vectors:
    """Stored vectors as float32."""
    matrix = np.frombuffer(b"".join(rows), dtype="<f2").reshape(len(rows), -1)
    return matrix.astype(np.float32)


def _checksum(path: Path) -> int:
    """The CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while data := file.read(READ_BYTES):
            value = zlib.crc32(data, value)
    return value


def load_vectors(db: Database, folder: Path, embedder: Embedder | None) -> VectorIndex | None:
    """The vectors of ``embedder``, or ``None`` without one."""
    if embedder is None:
        return None
    return VectorIndex.load(db, folder, embedder.name, embedder.dimensions)
