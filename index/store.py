"""What the database holds of blobs, chunks, views and vectors, read and written by id."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from git_copilot.index.db import Database
from git_copilot.index.terms import terms
from git_copilot.index.types import Chunk

if TYPE_CHECKING:
    from git_copilot.index.types import Vectors

BlobKey = tuple[str, str]  # object id, language


def view_tree(db: Database, view: str) -> str | None:
    """The tree that ``view`` shows, or ``None`` before its first sync."""
    rows = db.query("SELECT tree FROM views WHERE name = ?", (view,))
    return str(rows[0][0]) if rows else None


def known_blobs(db: Database, keys: Iterable[BlobKey]) -> dict[BlobKey, int]:
    """Database ids of the blobs that are stored already."""
    wanted = set(keys)
    return {
        (str(oid), str(language)): int(str(blob_id))
        for blob_id, oid, language in db.query("SELECT id, oid, language FROM blobs")
        if (oid, language) in wanted
    }


def add_blob(
    connection: sqlite3.Connection,
    key: BlobKey,
    lines: int,
    chunks: Sequence[Chunk],
    skipped: str | None,
    secrets: int = 0,
) -> int:
    """Store a blob with its chunks and symbols; return its database id. Its words become
    searchable with the first view that shows it.

    :param secrets: how many of its lines are left out of the chunks.
    """
    oid, language = key
    cursor = connection.execute(
        "INSERT INTO blobs (oid, language, lines, skipped, secrets) VALUES (?, ?, ?, ?, ?)",
        (oid, language, lines, skipped, secrets),
    )
    blob_id = int(cursor.lastrowid or 0)
    for chunk in chunks:
        cursor.execute(
            "INSERT INTO chunks (blob_id, start_line, end_line, start_byte, end_byte, kind, name,"
            " text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                blob_id,
                chunk.start_line,
                chunk.end_line,
                chunk.start_byte,
                chunk.end_byte,
                chunk.kind,
                chunk.name,
                chunk.text,
            ),
        )
        chunk_id = cursor.lastrowid
        cursor.executemany(
            "INSERT INTO symbols (name, chunk_id, line, kind, signature) VALUES (?, ?, ?, ?, ?)",
            [(s.name, chunk_id, s.line, s.kind, s.signature) for s in chunk.symbols],
        )
    return blob_id


def set_view(
    connection: sqlite3.Connection,
    view: str,
    tree: str,
    removed: Iterable[str],
    added: Iterable[tuple[str, int]],
) -> int:
    """Make ``view`` show ``tree``: drop ``removed`` paths, then put (path, blob id) ``added``.

    Return how many blobs no view shows any more because of it.
    """
    connection.execute(
        "INSERT INTO views (name, tree) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET tree = excluded.tree",
        (view, tree),
    )
    (view_id,) = connection.execute("SELECT id FROM views WHERE name = ?", (view,)).fetchone()
    dropped: set[int] = set()
    for path in removed:
        dropped.update(
            blob_id
            for (blob_id,) in connection.execute(
                "DELETE FROM files WHERE view_id = ? AND path = ? RETURNING blob_id",
                (view_id, os.fsencode(path)),
            ).fetchall()
        )
    connection.executemany(
        "INSERT OR REPLACE INTO files (view_id, path, blob_id) VALUES (?, ?, ?)",
        ((view_id, os.fsencode(path), blob_id) for path, blob_id in added),
    )
    return _level_words(connection, view_id, dropped)


def _level_words(connection: sqlite3.Connection, view_id: int, dropped: set[int]) -> int:
    """Keep in the full-text index exactly the blobs that some view shows: the rarity of a word,
    and with it every rank, must not depend on what was there before.

    Return how many of ``dropped`` no view shows.
    """
    hidden = [
        blob_id
        for blob_id in sorted(dropped)
        if not connection.execute("SELECT 1 FROM files WHERE blob_id = ?", (blob_id,)).fetchone()
    ]
    shown = connection.execute(
        "SELECT DISTINCT b.id FROM files f JOIN blobs b ON b.id = f.blob_id"
        " WHERE f.view_id = ? AND NOT b.searchable ORDER BY b.id",
        (view_id,),
    ).fetchall()
    _set_words(connection, hidden, searchable=False)
    _set_words(connection, [blob_id for (blob_id,) in shown], searchable=True)
    return len(hidden)


def _set_words(
    connection: sqlite3.Connection, blob_ids: Sequence[int], *, searchable: bool
) -> None:
    """Put blobs into the full-text index, or take them out of it."""
    statement = (
        "INSERT INTO chunks_fts (rowid, terms) VALUES (?, ?)"
        if searchable
        else "INSERT INTO chunks_fts (chunks_fts, rowid, terms) VALUES ('delete', ?, ?)"
    )
    for blob_id in blob_ids:
        rows = connection.execute("SELECT id, text FROM chunks WHERE blob_id = ?", (blob_id,))
        connection.executemany(
            statement, [(chunk_id, " ".join(terms(text))) for chunk_id, text in rows]
        )
    connection.executemany(
        "UPDATE blobs SET searchable = ? WHERE id = ?", [(int(searchable), i) for i in blob_ids]
    )


def remove_paths(connection: sqlite3.Connection, paths: Iterable[bytes]) -> tuple[int, int, int]:
    """Take paths out of every view, and with them all blobs that no view shows then.

    :return: paths, and the chunks and vectors of those of their blobs that went.
    """
    files = 0
    theirs: set[int] = set()
    for path in paths:
        rows = connection.execute("DELETE FROM files WHERE path = ? RETURNING blob_id", (path,))
        found = {blob_id for (blob_id,) in rows.fetchall()}
        files += bool(found)
        theirs |= found
    hidden = connection.execute(
        "SELECT id, searchable FROM blobs b"
        " WHERE NOT EXISTS (SELECT 1 FROM files WHERE blob_id = b.id) ORDER BY id"
    ).fetchall()
    _set_words(connection, [i for i, searchable in hidden if searchable], searchable=False)
    chunks = vectors = 0
    for blob_id, _ in hidden:
        if blob_id in theirs:
            counted = connection.execute(
                "SELECT count(DISTINCT c.id), count(v.seq) FROM chunks c"
                " LEFT JOIN vectors v ON v.chunk_id = c.id WHERE c.blob_id = ?",
                (blob_id,),
            ).fetchone()
            chunks, vectors = chunks + counted[0], vectors + counted[1]
        connection.execute("DELETE FROM blobs WHERE id = ?", (blob_id,))
    return files, chunks, vectors


def view_names(db: Database, prefix: str) -> list[str]:
    """Views whose names begin with ``prefix``, oldest first."""
    rows = db.query("SELECT name FROM views WHERE name GLOB ? ORDER BY id", (f"{prefix}*",))
    return [str(name) for (name,) in rows]


def drop_view(db: Database, view: str) -> None:
    """Forget what a view shows; its blobs and vectors stay."""
    with db.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT view_id, blob_id FROM files JOIN views ON views.id = view_id"
            " WHERE name = ?",
            (view,),
        ).fetchall()
        connection.execute("DELETE FROM views WHERE name = ?", (view,))
        if rows:
            _level_words(connection, rows[0][0], {blob_id for _, blob_id in rows})


def view_paths(db: Database, view: str) -> list[str]:
    """Every path that ``view`` lists."""
    rows = db.query(
        "SELECT path FROM files JOIN views ON views.id = view_id WHERE name = ?", (view,)
    )
    return [os.fsdecode(bytes(path)) for (path,) in rows]  # type: ignore[call-overload]


def unembedded(db: Database, embedder: str, view: str, limit: int) -> list[tuple[int, str]]:
    """Up to ``limit`` (chunk id, text) of ``view`` that have no vector yet, in id order."""
    rows = db.query(
        "SELECT DISTINCT c.id, c.text FROM chunks c JOIN files f ON f.blob_id = c.blob_id"
        " JOIN views v ON v.id = f.view_id WHERE v.name = ? AND NOT EXISTS"
        " (SELECT 1 FROM vectors WHERE embedder = ? AND chunk_id = c.id)"
        " ORDER BY c.id LIMIT ?",
        (view, embedder, limit),
    )
    return [(int(str(chunk_id)), str(text)) for chunk_id, text in rows]


def add_vectors(
    connection: sqlite3.Connection, embedder: str, chunk_ids: Sequence[int], vectors: Vectors
) -> None:
    """Store vectors of shape ``(len(chunk_ids), dimensions)`` as float16."""
    rows = vectors.astype("<f2")
    connection.executemany(
        "INSERT OR IGNORE INTO vectors (embedder, chunk_id, vector) VALUES (?, ?, ?)",
        ((embedder, cid, row.tobytes()) for cid, row in zip(chunk_ids, rows, strict=True)),
    )


def iter_vectors(db: Database, embedder: str, after: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Stream (seq, chunk id, float16 bytes) of what was added after seq ``after``, in order."""
    yield from db.connection.execute(
        "SELECT seq, chunk_id, vector FROM vectors WHERE embedder = ? AND seq > ? ORDER BY seq",
        (embedder, after),
    )


def view_chunk_ids(db: Database, view: str) -> list[int]:
    """Ids of all chunks that ``view`` shows, ascending."""
    rows = db.query(
        "SELECT DISTINCT c.id FROM chunks c JOIN files f ON f.blob_id = c.blob_id"
        " JOIN views v ON v.id = f.view_id WHERE v.name = ? ORDER BY c.id",
        (view,),
    )
    return [int(str(chunk_id)) for (chunk_id,) in rows]


def view_counts(db: Database, view: str, embedder: str) -> dict[str, int]:
    """Files, chunks and vectors that ``view`` shows, and the lines of its files that were left
    out because they look like secrets."""
    join = " FROM files f JOIN views v ON v.id = f.view_id"
    where = " WHERE v.name = ?"
    chunk_join = f"{join} JOIN chunks c ON c.blob_id = f.blob_id"
    return {
        "files": db.scalar(
            f"SELECT count(*){join} JOIN blobs b ON b.id = f.blob_id{where} AND b.skipped IS NULL",
            (view,),
        ),
        "chunks": db.scalar(f"SELECT count(DISTINCT c.id){chunk_join}{where}", (view,)),
        "vectors": db.scalar(
            f"SELECT count(DISTINCT c.id){chunk_join}"
            " JOIN vectors x ON x.chunk_id = c.id AND x.embedder = ?"
            f"{where}",
            (embedder, view),
        ),
        "secrets": db.scalar(
            f"SELECT sum(b.secrets){join} JOIN blobs b ON b.id = f.blob_id{where}", (view,)
        ),
    }
