"""Writes the corpus as rows that Hugging Face ``datasets`` loads: JSON lines or Parquet."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from git_copilot.index.db import Database
from git_copilot.index.errors import CopilotError
from git_copilot.index.git import GitRepository
from git_copilot.index.mine import load_holes
from git_copilot.index.types import Hole, Progress, no_progress

COLUMNS = (
    "repository", "path", "commit", "blob", "author", "time", "language", "kind",
    "prefix", "middle", "suffix",
)  # fmt: skip
PARQUET_ROWS = 1000


def rows(
    repo: GitRepository, db: Database, progress: Progress = no_progress
) -> Iterator[dict[str, object]]:
    """One row per hole; prefix + middle + suffix is the blob. Holes whose blob is gone are left
    out."""
    commits = [str(oid) for (oid,) in db.query("SELECT oid FROM commits ORDER BY time DESC, oid")]
    for number, oid in enumerate(commits):
        progress("exporting", number, len(commits))
        for blob, holes in groupby(load_holes(db, [oid]), key=lambda h: h.blob):
            for _, data in repo.blobs([blob]):
                yield from (_row(repo.name, hole, data) for hole in holes)


def _row(repository: str, hole: Hole, data: bytes) -> dict[str, object]:
    time = datetime.datetime.fromtimestamp(hole.time, datetime.UTC).isoformat()
    return {
        "repository": repository,
        "path": hole.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "commit": hole.commit,
        "blob": hole.blob,
        "author": hole.author,
        "time": time,
        "language": hole.language,
        "kind": hole.kind,
        "prefix": data[: hole.start].decode("utf-8"),
        "middle": data[hole.start : hole.end].decode("utf-8"),
        "suffix": data[hole.end :].decode("utf-8"),
    }


def export_corpus(
    repo: GitRepository, db: Database, out: Path, *, progress: Progress = no_progress
) -> int:
    """Write all holes to ``out`` (``.jsonl`` or ``.parquet``) and return how many.

    :raises CopilotError: another suffix, or Parquet without pyarrow.
    """
    temporary = out.with_name(f".{out.name}.part")
    try:
        if out.suffix == ".jsonl":
            count = _write_jsonl(temporary, rows(repo, db, progress))
        elif out.suffix == ".parquet":
            count = _write_parquet(temporary, rows(repo, db, progress))
        else:
            raise CopilotError(f"{out.name} is neither .jsonl nor .parquet", "name one of them")
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _write_jsonl(path: Path, found: Iterator[dict[str, object]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in found:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_parquet(path: Path, found: Iterator[dict[str, object]]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as exc:
        raise CopilotError(
            "Parquet needs pyarrow", "`pip install pyarrow`, or write .jsonl"
        ) from exc
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    count = 0
    batch: list[dict[str, object]] = []
    with pq.ParquetWriter(path, schema) as writer:
        for row in found:
            batch.append(row)
            if len(batch) == PARQUET_ROWS:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                count += len(batch)
                batch = []
        if batch or not count:
            writer.write_table(pa.Table.from_pylist(batch, schema))
    return count + len(batch)
