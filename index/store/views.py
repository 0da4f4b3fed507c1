"""Reads and writes views: the files, chunks and vectors that a worktree or commit shows."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from git_copilot.index.store.contents import (
    MISSING,
    BlobKey,
    add_blob,
    add_encoded_vectors,
    add_vectors,
    delete_blobs,
    mark_embedded,
    update_hidden,
)
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import decode_path

__all__ = ["BlobKey", "add_blob", "add_encoded_vectors", "add_vectors", "mark_embedded"]

HOUR = 3600


def view_tree(db: Database, view: str) -> str | None:
    """The tree that ``view`` shows, or ``None`` before its first sync."""
    rows = db.query("SELECT tree FROM views WHERE name = ?", (view,))
    return str(rows[0][0]) if rows else None


def view_state(db: Database, view: str) -> tuple[str, str] | None:
    """The tree of ``view`` and the fingerprint of its rules (:mod:`.rules`)."""
    rows = db.query("SELECT tree, rules FROM views WHERE name = ?", (view,))
    return (str(rows[0][0]), str(rows[0][1])) if rows else None


def touch_view(db: Database, view: str) -> None:
    """Record that a view is in use; writes at most once an hour."""
    now = int(time.time())
    if db.scalar("SELECT count(*) FROM views WHERE name = ? AND seen < ?", (view, now - HOUR)):
        with db.transaction() as connection:
            connection.execute("UPDATE views SET seen = ? WHERE name = ?", (now, view))


def known_blobs(db: Database, keys: Iterable[BlobKey]) -> dict[BlobKey, int]:
    """Database ids of the blobs that are stored already and not missing."""
    wanted = list(dict.fromkeys(keys))
    rows = db.query(
        "SELECT b.id, b.oid, b.language FROM json_each(?) JOIN blobs b"
        " ON b.oid = json_extract(value, '$[0]') AND b.language = json_extract(value, '$[1]')"
        " AND b.skipped IS NOT ?",
        (json.dumps(wanted), MISSING),
    )
    return {(str(oid), str(language)): int(str(i)) for i, oid, language in rows}


def missing_blobs(db: Database, view: str) -> list[BlobKey]:
    """The blobs of ``view`` whose objects were missing."""
    rows = db.query(
        "SELECT DISTINCT b.oid, b.language FROM blobs b JOIN files f ON f.blob_id = b.id"
        " JOIN views v ON v.id = f.view_id WHERE v.name = ? AND b.skipped = ?",
        (view, MISSING),
    )
    return [(str(oid), str(language)) for oid, language in rows]


def all_blobs_exist(connection: sqlite3.Connection, blob_ids: Iterable[int]) -> bool:
    """Whether none of the blobs has been garbage-collected meanwhile."""
    wanted = set(blob_ids)
    (found,) = connection.execute(
        "SELECT count(*) FROM json_each(?) JOIN blobs b ON b.id = value",
        (json.dumps(list(wanted)),),
    ).fetchone()
    return int(found) == len(wanted)


def set_view(
    connection: sqlite3.Connection,
    view: str,
    tree: str,
    rules: str,
    removed: Iterable[str],
    added: Sequence[tuple[str, int]],
) -> int:
    """Update ``view`` to ``tree``: drop ``removed`` paths, then add (path, blob id) ``added``.

    Return the number of blobs that no view shows any more as a result.
    """
    (view_id,) = connection.execute(
        "INSERT INTO views (name, tree, rules, seen) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO"
        " UPDATE SET tree = excluded.tree, rules = excluded.rules, seen = excluded.seen,"
        " revision = revision + 1"
        " RETURNING id",
        (view, tree, rules, int(time.time())),
    ).fetchone()
    dropped: set[int] = set()
    for path in (*removed, *(path for path, _ in added)):
        dropped.update(
            blob_id
            for (blob_id,) in connection.execute(
                "DELETE FROM files WHERE view_id = ? AND path = ? RETURNING blob_id",
                (view_id, os.fsencode(path)),
            ).fetchall()
        )
    connection.executemany(
        "INSERT INTO files (view_id, path, blob_id) VALUES (?, ?, ?)",
        ((view_id, os.fsencode(path), blob_id) for path, blob_id in added),
    )
    return update_hidden(connection, {blob_id for _, blob_id in added}, dropped)


def remove_paths(connection: sqlite3.Connection, paths: Iterable[bytes]) -> tuple[int, int, int]:
    """Remove paths from every view, and delete all blobs that no view shows then.

    :return: the numbers of removed paths, and of deleted chunks and vectors of their blobs.
    """
    files = 0
    theirs: set[int] = set()
    for path in paths:
        rows = connection.execute("DELETE FROM files WHERE path = ? RETURNING blob_id", (path,))
        found = {blob_id for (blob_id,) in rows.fetchall()}
        files += bool(found)
        theirs |= found
    update_hidden(connection, (), theirs)
    rows = connection.execute(
        "SELECT id FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM files WHERE blob_id = b.id)"
    )
    hidden = {blob_id for (blob_id,) in rows.fetchall()}
    delete_blobs(connection, hidden - theirs)
    return files, *delete_blobs(connection, hidden & theirs)


def view_names(db: Database, prefix: str) -> list[str]:
    """Views whose names begin with ``prefix``, oldest first."""
    rows = db.query("SELECT name FROM views WHERE name GLOB ? ORDER BY id", (f"{prefix}*",))
    return [str(name) for (name,) in rows]


def drop_view(db: Database, view: str) -> None:
    """Delete a view; its blobs and vectors stay for a while."""
    with db.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT blob_id FROM files JOIN views ON views.id = view_id WHERE name = ?",
            (view,),
        ).fetchall()
        connection.execute("DELETE FROM views WHERE name = ?", (view,))
        update_hidden(connection, (), {blob_id for (blob_id,) in rows})


def view_paths(db: Database, view: str) -> list[str]:
    """Every path that ``view`` lists."""
    return list(view_files(db, view))


def view_files(db: Database, view: str) -> dict[str, BlobKey]:
    """The blob key of each path in ``view``."""
    rows = db.query(
        "SELECT f.path, b.oid, b.language FROM views v JOIN files f ON f.view_id = v.id"
        " JOIN blobs b ON b.id = f.blob_id WHERE v.name = ?",
        (view,),
    )
    return {decode_path(path): (str(oid), str(language)) for path, oid, language in rows}


def unembedded_blobs(db: Database, embedder: str, view: str) -> list[int]:
    """Blobs of ``view`` that are not yet marked as completely embedded, in id order."""
    rows = db.query(
        "SELECT DISTINCT b.id FROM views v JOIN files f ON f.view_id = v.id"
        " JOIN blobs b ON b.id = f.blob_id WHERE v.name = ? AND b.embedder IS NOT ? ORDER BY b.id",
        (view, embedder),
    )
    return [int(str(blob_id)) for (blob_id,) in rows]


@dataclass(frozen=True, slots=True)
class UnembeddedChunk:
    """A chunk without a vector; ``equal_vector`` is the stored vector of a chunk with the same text
    and context, if there is one."""

    chunk_id: int
    scope: str
    text: str
    equal_vector: bytes | None


def unembedded_chunks(
    db: Database, embedder: str, blob_ids: Sequence[int]
) -> list[UnembeddedChunk]:
    """The chunks of ``blob_ids`` without a vector, in id order."""
    rows = db.query(
        "SELECT c.id, c.scope, c.text, (SELECT x.vector FROM chunks d CROSS JOIN vectors x"
        " ON x.chunk_id = d.id AND x.embedder = ?1 WHERE d.digest = c.digest"
        " AND d.text = c.text AND d.scope = c.scope LIMIT 1)"
        " FROM json_each(?2) CROSS JOIN chunks c ON c.blob_id = value WHERE NOT EXISTS"
        " (SELECT 1 FROM vectors WHERE chunk_id = c.id AND embedder = ?1) ORDER BY c.id",
        (embedder, json.dumps(list(blob_ids))),
    )
    return [
        UnembeddedChunk(
            int(str(i)), str(scope), str(text), twin if isinstance(twin, bytes) else None
        )
        for i, scope, text, twin in rows
    ]


def iter_vectors(db: Database, embedder: str, after: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Stream (seq, chunk id, float16 bytes) of the vectors after ``after``, in order."""
    yield from db.connection.execute(
        "SELECT seq, chunk_id, vector FROM vectors WHERE embedder = ? AND seq > ? ORDER BY seq",
        (embedder, after),
    )


def view_counts(db: Database, view: str, embedder: str) -> dict[str, int]:
    """Numbers of files, chunks and vectors in ``view``, and of lines that were left out because
    they look like secrets."""
    shown = (
        " FROM views v JOIN files f ON f.view_id = v.id JOIN blobs b ON b.id = f.blob_id"
        " WHERE v.name = ?"
    )
    chunks = f" FROM (SELECT DISTINCT f.blob_id{shown}) s JOIN chunks c ON c.blob_id = s.blob_id"
    return {
        "files": db.scalar(f"SELECT count(*){shown} AND b.skipped IS NULL", (view,)),
        "chunks": db.scalar(f"SELECT count(*){chunks}", (view,)),
        "vectors": db.scalar(
            f"SELECT count(*){chunks} WHERE EXISTS"
            " (SELECT 1 FROM vectors WHERE chunk_id = c.id AND embedder = ?)",
            (view, embedder),
        ),
        "secrets": db.scalar(f"SELECT sum(b.secrets){shown}", (view,)),
    }
