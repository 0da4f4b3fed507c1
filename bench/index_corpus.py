"""An index of any size, made of real chunks: each copy of a repository after the first has other
names for two of five identifiers, so that its words and vectors are its own."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace

from git_copilot.index.core.types import Chunk, Embedder
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import contents, views
from git_copilot.index.store.database import Database
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.classify import language_of, skip_content, skip_path, to_utf8

IDENTIFIER = re.compile(r"[A-Za-z_]\w{3,}")
RENAMED = 0.4
BATCH = 2000

Files = list[tuple[str, str, list[Chunk]]]  # path, language, chunks


def real_files(repositories: list[GitRepository]) -> Files:
    """The files of HEAD that an index would take, cut into chunks."""
    found: Files = []
    for repo in repositories:
        entries = {e.oid: e.path for e in repo.ls_tree("HEAD") if not skip_path(e.path)}
        for oid, data in repo.blobs(entries):
            path, content = entries[oid], to_utf8(data)
            if skip_content(content) is None:
                language = language_of(path)
                found.append((f"{repo.name}/{path}", language, chunk_blob(content, language)))
    return found


def copies(files: Files, count: int, rng: random.Random) -> Iterator[tuple[str, str, list[Chunk]]]:
    """Files of together ``count`` chunks or a few more."""
    words = sorted({w for _, _, cs in files for c in cs for w in IDENTIFIER.findall(c.text)})
    made = number = 0
    while made < count:
        for path, language, chunks in files:
            names: dict[str, str] = {}

            def other(match: re.Match[str], names: dict[str, str] = names) -> str:
                word = match[0]
                if word not in names:
                    names[word] = rng.choice(words) if rng.random() < RENAMED else word
                return names[word]

            if number:
                chunks = [
                    replace(
                        chunk,
                        text=IDENTIFIER.sub(other, chunk.text),
                        scope=IDENTIFIER.sub(other, chunk.scope),
                        symbols=tuple(
                            replace(s, name=IDENTIFIER.sub(other, s.name)) for s in chunk.symbols
                        ),
                    )
                    for chunk in chunks
                ]
            yield f"{number}/{path}", language, chunks
            made += len(chunks)
            if made >= count:
                return
        number += 1


def fill(db: Database, view: str, files: Files, count: int, embedder: Embedder) -> list[str]:
    """Store ``count`` chunks under one view; return the texts that queries are made from."""
    rng = random.Random(count)
    shown: list[tuple[str, int]] = []
    texts: list[str] = []
    waiting: list[tuple[int, str]] = []
    for number, (path, language, chunks) in enumerate(copies(files, count, rng)):
        with db.transaction() as connection:
            blob = contents.add_blob(connection, (f"{number:040x}", language), 1, chunks, None)
            ids = connection.execute("SELECT id FROM chunks WHERE blob_id = ? ORDER BY id", (blob,))
            rows = [i for (i,) in ids]
        shown.append((path, blob))
        said = [contents.embedding_text(c.scope, c.text) for c in chunks]
        waiting += zip(rows, said, strict=True)
        texts += [c.text for c in chunks] if len(texts) < 20_000 else []
        if len(waiting) >= BATCH:
            _embed(db, waiting, embedder)
    _embed(db, waiting, embedder)
    with db.transaction() as connection:
        views.set_view(connection, view, "0" * 40, "", [], shown)
        contents.mark_embedded(connection, embedder.name, [blob for _, blob in shown])
    return texts


def _embed(db: Database, waiting: list[tuple[int, str]], embedder: Embedder) -> None:
    if waiting:
        vectors = embedder.encode([text for _, text in waiting])
        with db.transaction() as connection:
            contents.add_vectors(connection, embedder.name, [i for i, _ in waiting], vectors)
        waiting.clear()
