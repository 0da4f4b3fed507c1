"""Which FAISS index for how many vectors: ``python bench/index.py --vectors``.

Recall@10 against comparing with every vector in float32, processor milliseconds of one search on
one thread, seconds to build and bytes on disk for each vector.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from git_copilot.index.store.database import Database
from git_copilot.index.store.views import iter_vectors

QUERIES, NEIGHBOURS = 100, 10
INNER = faiss.METRIC_INNER_PRODUCT
PROBES = (1 / 100, 1 / 24, 1 / 12, 1 / 6)


def compare(db: Database, embedder: str, dimensions: int) -> list[dict[str, object]]:
    """Rows of figures for the vectors of ``db``."""
    faiss.omp_set_num_threads(1)
    raw = b"".join(vector for _, _, vector in iter_vectors(db, embedder))
    matrix = np.frombuffer(raw, "<f2").reshape(-1, dimensions).astype(np.float32)
    rng = np.random.default_rng(0)
    # A query is about two chunks, and like neither.
    one, two = matrix[rng.integers(0, len(matrix), (2, QUERIES))]
    queries = 0.75 * one + 0.25 * two
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    truth: list[set[int]] = []
    rows = []
    for name, index, built, parameters in _indexes(matrix):
        times, found = [], []
        for query in queries:
            begun = time.process_time()
            _, ids = index.search(query[None], NEIGHBOURS, params=parameters)
            times.append((time.process_time() - begun) * 1e3)
            found.append({int(i) for i in ids[0]})
        truth = truth or found
        same = sum(len(a & b) for a, b in zip(found, truth, strict=True))
        rows.append(
            {
                "vectors": len(matrix),
                "index": name,
                "recall@10": round(same / QUERIES / NEIGHBOURS, 3),
                "p50_ms": round(float(np.percentile(times, 50)), 2),
                "p95_ms": round(float(np.percentile(times, 95)), 2),
                "build_s": round(built, 2),
                "bytes_each": round(_bytes(index) / len(matrix)),
            }
        )
    return rows


def _indexes(matrix: Any) -> Iterator[tuple[str, Any, float, Any]]:
    rows, dimensions = matrix.shape
    cells = int(2 * rows**0.5)
    for name in ("Flat", "SQfp16", "SQ8", f"IVF{cells},SQfp16", f"IVF{cells},SQ8", "HNSW24,SQ8"):
        begun = time.process_time()
        index = faiss.index_factory(dimensions, name, INNER)
        if "IVF" in name:
            index.cp.niter = 10
        index.train(matrix[np.random.default_rng(1).permutation(rows)[: 50 * cells]])
        index.add(matrix)
        built = time.process_time() - begun
        if "IVF" in name:
            for share in PROBES:
                index.nprobe = max(1, round(cells * share))
                yield f"{name} of which {index.nprobe}", index, built, None
        elif "HNSW" in name:
            for width in (64, 256):
                index.hnsw.efSearch = width
                yield f"{name} width {width}", index, built, None
        else:
            yield name, index, built, None
        if name == "SQfp16":
            yield from _selected(index, built)


def _selected(index: Any, built: float) -> Iterator[tuple[str, Any, float, Any]]:
    """The ways to say which vectors count; their results are another question's."""
    ids = np.arange(0, index.ntotal, dtype=np.int64)
    bits = np.packbits(np.ones(len(ids), bool), bitorder="little")
    make: Any = faiss.SearchParameters
    for name, selector in (
        ("batch", faiss.IDSelectorBatch(ids)),
        ("bitmap", faiss.IDSelectorBitmap(bits)),
    ):
        yield f"SQfp16, all through a {name}", index, built, make(sel=selector)


def _bytes(index: Any) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        faiss.write_index(index, str(path))
        return path.stat().st_size
