"""Writes rows of text to JSON lines or Parquet in groups; the file appears when it is complete."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import BinaryIO

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors, replacing

# The size of a group of rows, which is in memory until it is written.
GROUP_ROWS, GROUP_CHARACTERS = 1000, 4 << 20
Row = dict[str, str]
_PROCESS = re.compile(r"[1-9][0-9]{0,8}$")


def write_rows(out: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Write rows to ``out`` in groups and return their number; the file gets its name when it is
    complete and on disk.

    :raises CopilotError: it cannot be written, or pyarrow is missing for Parquet.
    """
    opened = _parquet if out.suffix == ".parquet" else _jsonl
    count = 0
    with os_errors(out):
        _remove_leftovers(out)
        with replacing(out) as file, opened(file, columns) as write:
            for group in _groups(rows):
                write(group)
                count += len(group)
    return count


def _remove_leftovers(out: Path) -> None:
    """Delete the temporary files of killed processes beside ``out``."""
    for path in out.parent.glob(f".{escape(out.name)}.*"):
        process = path.name.rpartition(".")[2]
        if not _PROCESS.match(process):
            continue
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except PermissionError:
            pass  # another user's, and alive


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(map(len, row.values()))
        if len(group) >= GROUP_ROWS or size >= GROUP_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


Write = Callable[[list[Row]], None]


@contextmanager
def _jsonl(file: BinaryIO, columns: Sequence[str]) -> Iterator[Write]:
    def write(group: list[Row]) -> None:
        lines = (json.dumps(row, ensure_ascii=False) for row in group)
        file.writelines(line.encode("utf-8") + b"\n" for line in lines)

    yield write


@contextmanager
def _parquet(file: BinaryIO, columns: Sequence[str]) -> Iterator[Write]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as exc:
        raise CopilotError(
            "Parquet needs pyarrow", "`pip install pyarrow`, or write .jsonl"
        ) from exc
    schema = pa.schema([(name, pa.string()) for name in columns])
    with pq.ParquetWriter(file, schema) as writer:
        yield lambda group: writer.write_table(pa.Table.from_pylist(group, schema))
