"""Writes the contents of blobs: chunks, words and vectors.

All functions run in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from git_copilot.index.core.types import Chunk
from git_copilot.index.text.terms import terms

if TYPE_CHECKING:
    from git_copilot.index.core.types import Vectors

BlobKey = tuple[str, str]  # object id, language
# Reason of a blob without chunks: the object is missing (a partial clone). It is retried.
MISSING = "missing"
# Blobs, by database id, as a parameter.
_GIVEN = "(SELECT value FROM json_each(?))"


def _json(ids: Iterable[int]) -> str:
    return json.dumps(sorted(set(ids)))


def embedding_text(scope: str, text: str) -> str:
    """The text to embed for a chunk: the headers of enclosing definitions, then its text."""
    return f"{scope}\n{text}" if scope else text


def chunk_digest(scope: str, text: str) -> int:
    """A 64-bit hash of a chunk in its context."""
    name = hashlib.blake2b(f"{scope}\0{text}".encode(), digest_size=8)
    return int.from_bytes(name.digest(), "big", signed=True)


def add_blob(
    connection: sqlite3.Connection,
    key: BlobKey,
    lines: int,
    chunks: Sequence[Chunk],
    skipped: str | None,
    secrets: int = 0,
    allowed: int = 0,
) -> int:
    """Store a blob with its chunks and symbols; return its database id. Its words become
    searchable once a view shows it. A blob that was :data:`MISSING` is completed.

    :param secrets: number of secret lines that are left out of the chunks.
    :param allowed: number of lines that look like secrets but are allowed.
    """
    (blob_id,) = connection.execute(
        "INSERT INTO blobs (oid, language, lines, skipped, secrets, allowed, hidden_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (oid, language) DO UPDATE SET"
        " lines = excluded.lines, skipped = excluded.skipped, secrets = excluded.secrets,"
        " allowed = excluded.allowed, searchable = 0, embedder = NULL RETURNING id",
        (*key, lines, skipped, secrets, allowed, int(time.time())),
    ).fetchone()
    symbols: list[tuple[object, ...]] = []
    for c in chunks:
        where = (c.start_line, c.end_line, c.start_byte, c.end_byte)
        cursor = connection.execute(
            "INSERT INTO chunks (blob_id, start_line, end_line, start_byte, end_byte, kind, name,"
            " scope, text, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (blob_id, *where, c.kind, c.name, c.scope, c.text, chunk_digest(c.scope, c.text)),
        )
        symbols += (
            (s.name, cursor.lastrowid, s.line, s.kind, s.signature, s.scope, s.doc)
            for s in c.symbols
        )
    connection.executemany(
        "INSERT INTO symbols (name, chunk_id, line, kind, signature, scope, doc)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        symbols,
    )
    # If it was missing before, some views show it already.
    connection.execute(
        "UPDATE views SET revision = revision + 1"
        " WHERE id IN (SELECT view_id FROM files WHERE blob_id = ?)",
        (blob_id,),
    )
    return int(blob_id)


def update_hidden(
    connection: sqlite3.Connection, entering: Iterable[int], leaving: Iterable[int]
) -> int:
    """Record which blobs are shown from now on, and which are not. The words of leaving blobs stay
    for a while (until :func:`unindex_words`), since users switch branches back; search respects
    its view anyway.

    :param leaving: blobs that some view no longer shows; another view may.
    :return: how many of them no view shows.
    """
    connection.execute(
        f"UPDATE blobs SET hidden_at = NULL WHERE hidden_at IS NOT NULL AND id IN {_GIVEN}",
        (_json(entering),),
    )
    index_words(connection, entering)
    hidden = connection.execute(
        f"UPDATE blobs SET hidden_at = ? WHERE id IN {_GIVEN}"
        " AND NOT EXISTS (SELECT 1 FROM files WHERE blob_id = blobs.id)",
        (int(time.time()), _json(leaving)),
    )
    return hidden.rowcount


def index_words(connection: sqlite3.Connection, blob_ids: Iterable[int]) -> None:
    """Add those of the blobs that a view shows to the full-text index."""
    _set_words(
        connection,
        f"hidden_at IS NULL AND NOT searchable AND id IN {_GIVEN}",
        blob_ids,
        searchable=True,
    )


def unindex_words(connection: sqlite3.Connection, blob_ids: Iterable[int]) -> None:
    """Remove blobs from the full-text index."""
    _set_words(connection, f"searchable AND id IN {_GIVEN}", blob_ids, searchable=False)


def _set_words(
    connection: sqlite3.Connection, which: str, blob_ids: Iterable[int], *, searchable: bool
) -> None:
    statement = (
        "INSERT INTO chunks_fts (rowid, terms) VALUES (?, ?)"
        if searchable
        else "INSERT INTO chunks_fts (chunks_fts, rowid, terms) VALUES ('delete', ?, ?)"
    )
    marked = connection.execute(
        f"UPDATE blobs SET searchable = ? WHERE {which} RETURNING id",
        (int(searchable), _json(blob_ids)),
    ).fetchall()
    for row in marked:
        found = connection.execute("SELECT id, text FROM chunks WHERE blob_id = ?", row)
        connection.executemany(statement, [(i, " ".join(terms(text))) for i, text in found])


def delete_blobs(connection: sqlite3.Connection, blob_ids: Iterable[int]) -> tuple[int, int]:
    """Delete blobs that no view shows, with their chunks and vectors.

    :return: the numbers of deleted chunks and vectors.
    """
    ids = set(blob_ids)
    unindex_words(connection, ids)
    counted = connection.execute(
        "SELECT count(DISTINCT c.id), count(v.seq) FROM chunks c"
        f" LEFT JOIN vectors v ON v.chunk_id = c.id WHERE c.blob_id IN {_GIVEN}",
        (_json(ids),),
    ).fetchone()
    connection.execute(f"DELETE FROM blobs WHERE id IN {_GIVEN}", (_json(ids),))
    return int(counted[0]), int(counted[1])


def add_vectors(
    connection: sqlite3.Connection, embedder: str, chunk_ids: Sequence[int], vectors: Vectors
) -> None:
    """Store vectors of shape ``(len(chunk_ids), dimensions)`` as float16, for those chunks that
    still exist."""
    rows = (row.tobytes() for row in vectors.astype("<f2"))
    add_encoded_vectors(connection, embedder, list(zip(chunk_ids, rows, strict=True)))


def add_encoded_vectors(
    connection: sqlite3.Connection, embedder: str, rows: Sequence[tuple[int, bytes]]
) -> None:
    """The same for pairs of (chunk id, stored bytes)."""
    connection.executemany(
        "INSERT OR IGNORE INTO vectors (embedder, chunk_id, vector)"
        " SELECT ?, id, ? FROM chunks WHERE id = ?",
        ((embedder, vector, chunk_id) for chunk_id, vector in rows),
    )


def mark_embedded(connection: sqlite3.Connection, embedder: str, blob_ids: Iterable[int]) -> None:
    """Record that all chunks of the blobs have vectors of ``embedder``."""
    connection.execute(
        f"UPDATE blobs SET embedder = ? WHERE id IN {_GIVEN}", (embedder, _json(blob_ids))
    )
