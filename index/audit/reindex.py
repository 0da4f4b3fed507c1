"""Rechunks blobs after the user has allowed or disallowed lines (:mod:`.allowed_lines`)."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Sequence

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.allowed_lines import AllowedLine, load, write_entries
from git_copilot.index.store.contents import BlobKey, add_blob, index_words, unindex_words
from git_copilot.index.store.database import Database
from git_copilot.index.sync.sync import ParsedBlob, parse_blob

BATCH = 100


def allow_lines(repo: GitRepository, db: Database, lines: Sequence[tuple[str, int, str]]) -> int:
    """Allow lines, given as (path, 1-based number, fingerprint). Return the number of rechunked
    blobs. Commits that lost holes to secrets will be mined again.

    :raises DatabaseError: the database is busy or damaged.
    """
    now = int(time.time())
    write_entries(db, [AllowedLine(mark, path, number, now) for path, number, mark in lines])
    with db.transaction() as connection:
        connection.execute(
            "DELETE FROM commits WHERE oid IN"
            " (SELECT commit_oid FROM left_out WHERE reason = 'secret')"
        )
    return rechunk_blobs(repo, db, "secrets > 0")


def disallow_lines(repo: GitRepository, db: Database, found: Sequence[AllowedLine]) -> int:
    """Undo :func:`allow_lines`; return the number of rechunked blobs. Commits with holes in the
    lines' files will be mined again, and existing snapshots of vectors become invalid."""
    with db.transaction() as connection:
        for entry in found:
            connection.execute("DELETE FROM allowed WHERE fingerprint = ?", (entry.fingerprint,))
            connection.execute(
                "DELETE FROM commits WHERE oid IN (SELECT commit_oid FROM holes WHERE path = ?)",
                (os.fsencode(entry.path),),
            )
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'identity'", (secrets.token_hex(8),)
        )
    return rechunk_blobs(repo, db, "allowed > 0")


def rechunk_blobs(repo: GitRepository, db: Database, which: str) -> int:
    """Rechunk the blobs in which other lines are left out now; return their number.

    :param which: an SQL condition that selects the blobs to check.
    """
    rows = db.query(f"SELECT id, oid, language FROM blobs WHERE {which} AND skipped IS NULL")
    known = {int(str(i)): (str(oid), str(language)) for i, oid, language in rows}
    taken_in, changed = load(db), 0
    for begin in range(0, len(known), BATCH):
        batch = dict(list(known.items())[begin : begin + BATCH])
        contents = dict(repo.blobs(dict.fromkeys(oid for oid, _ in batch.values())))
        with db.transaction() as connection:
            for blob_id, key in batch.items():
                data = contents.get(key[0])
                if data is not None:
                    read = parse_blob(data, key[1], len(data), taken_in)
                    changed += _replace(connection, blob_id, key, read)
    return changed


def _replace(connection: sqlite3.Connection, blob_id: int, key: BlobKey, read: ParsedBlob) -> bool:
    """Replace the chunks of a blob if other lines are left out now; whether they were replaced."""
    before = connection.execute("SELECT secrets, allowed FROM blobs WHERE id = ?", (blob_id,))
    if before.fetchone() == (read.secrets, read.allowed):
        return False
    unindex_words(connection, [blob_id])
    connection.execute("DELETE FROM chunks WHERE blob_id = ?", (blob_id,))
    add_blob(connection, key, read.lines, read.chunks, read.skipped, read.secrets, read.allowed)
    index_words(connection, [blob_id])
    return True
