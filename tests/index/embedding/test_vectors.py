"""Vector search equals brute force, whatever part is in the snapshot."""

from __future__ import annotations

import numpy as np
import pytest

from git_copilot.index.core.types import Chunk
from git_copilot.index.embedding import vectors as module
from git_copilot.index.embedding.vectors import SNAPSHOT_NAME, VectorIndex, is_worth_saving
from git_copilot.index.store.contents import add_blob, add_vectors, delete_blobs
from git_copilot.index.store.database import DATABASE_NAME, Database

DIMENSIONS, EMBEDDER = 32, "random"


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def db(tmp_path):
    with Database(tmp_path / DATABASE_NAME, create=True) as database:
        yield database


def fill(db, count, seed):
    """Chunks with random vectors: their ids and vectors, as stored."""
    matrix = unit(np.random.default_rng(seed).normal(size=(count, DIMENSIONS))).astype(np.float32)
    chunks = [Chunk(i, i, i, i, "", "", f"{seed} {i}") for i in range(count)]
    with db.transaction() as connection:
        blob = add_blob(connection, (f"{seed:040d}", "text"), count, chunks, None)
        ids = [i for (i,) in connection.execute("SELECT id FROM chunks WHERE blob_id = ?", (blob,))]
        add_vectors(connection, EMBEDDER, ids, matrix)
    return blob, np.asarray(sorted(ids)), matrix.astype(np.float16).astype(np.float32)


def brute(query, ids, matrix, count):
    scores = matrix @ query
    return [int(i) for i in ids[np.argsort(-scores, kind="stable")[:count]]]


def queries(count):
    return unit(np.random.default_rng(99).normal(size=(count, DIMENSIONS))).astype(np.float32)


@pytest.mark.parametrize("saved", [0, 1, 2])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.3, 0.01])
def test_snapshot_and_tail_together_equal_brute_force(db, tmp_path, saved, share):
    """Nothing, the first part, or all of it is in the snapshot; a view shows a share of it."""
    _, first, one = fill(db, 400, 1)
    if saved:
        VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS).save(tmp_path)
    _, second, two = fill(db, 300, 2)
    index = VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    if saved == 2:
        index.save(tmp_path)
        index = VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    ids, matrix = np.concatenate([first, second]), np.concatenate([one, two])
    shown = np.random.default_rng(3).random(len(ids)) < share
    for query in queries(20):
        wanted = brute(query, ids[shown], matrix[shown], 10)
        for allowed in (ids[shown], [int(i) for i in ids[shown]]):
            assert [i for i, _ in index.search(query, 10, allowed)] == wanted


def test_a_large_snapshot_is_partitioned_with_little_loss_of_recall(db, tmp_path, monkeypatch):
    _, ids, matrix = fill(db, 4000, 1)
    index = VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    exact = [index.search(query, 10) for query in queries(40)]
    original = module.build_index
    monkeypatch.setattr(module, "build_index", lambda m, i: original(m, i, exact_limit=1000))
    monkeypatch.setattr(module, "PROBED", 1 / 2)
    index.save(tmp_path, db)
    index = VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    found = [index.search(query, 10) for query in queries(40)]
    hits = sum(
        len({i for i, _ in f} & {i for i, _ in e}) for f, e in zip(found, exact, strict=True)
    )
    assert hits > 300  # random vectors have no clusters: the hardest case
    few = ids[::200]
    for query in queries(10):  # few are allowed: every cell is looked at
        scores = [score for _, score in index.search(query, 10, few)]
        assert np.allclose(scores, np.sort(matrix[::200] @ query)[::-1][:10], atol=1e-4)
    _, later, two = fill(db, 50, 2)
    assert index.refresh(db) == 50
    assert index.search(two[7], 1)[0][0] == later[7]
    index.save(tmp_path)
    again = VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    assert again.size == 4050 and again.search(two[7], 1)[0][0] == later[7]


def test_a_snapshot_is_rebuilt_when_a_quarter_of_it_has_changed(db, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MIN_TAIL", 10)
    blob, _, _ = fill(db, 30, 1)
    assert is_worth_saving(db, tmp_path, EMBEDDER)
    VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    assert not is_worth_saving(db, tmp_path, EMBEDDER)
    fill(db, 80, 2)
    assert is_worth_saving(db, tmp_path, EMBEDDER)
    assert VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS).size == 110
    assert not is_worth_saving(db, tmp_path, EMBEDDER)
    with db.transaction() as connection:
        delete_blobs(connection, [blob])
    assert is_worth_saving(db, tmp_path, EMBEDDER)
    index = VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    index.save(tmp_path, db)
    assert VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS).size == 80
    assert not is_worth_saving(db, tmp_path, EMBEDDER)


@pytest.mark.parametrize("place", [2, 40, 5000, -9, -1])
def test_a_single_changed_byte_is_detected(db, tmp_path, place):
    _, ids, matrix = fill(db, 200, 1)
    VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS).save(tmp_path)
    path = tmp_path / SNAPSHOT_NAME
    data = bytearray(path.read_bytes())
    data[place] ^= 0x41
    path.write_bytes(data)
    index = VectorIndex.load(db, tmp_path, EMBEDDER, DIMENSIONS)
    assert index.size == 200
    for query in queries(5):
        assert [i for i, _ in index.search(query, 5)] == brute(query, ids, matrix, 5)
