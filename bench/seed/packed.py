"""The file that a training kit travels as: source files with what is needed to cut and retrieve
from them, as JSON lines in one xz stream.

The first line is a list of sources, each a name, a version (or commit), a hash and a licence. Every
other line is a file: the number of its source, its path and language, its text, the character
offsets where syntax nodes begin and end, and the lines (0-based) at which its chunks begin.
Offsets are stored as differences, which compress better. Standard library only: it is read where
nothing of ours is installed.
"""

from __future__ import annotations

import itertools
import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The dictionary covers the whole stream: files of one source are alike wherever they are.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 256 << 20}]


@dataclass(frozen=True, slots=True)
class PackedFile:
    """``nodes`` are (start, end) in characters, ``chunks`` the first lines of chunks (0-based)."""

    source: int
    path: str
    language: str
    text: str
    nodes: tuple[tuple[int, int], ...] = ()
    chunks: tuple[int, ...] = ()

    def to_line(self) -> str:
        """As JSON, without a newline."""
        starts = _differences(start for start, _ in self.nodes)
        sizes = [end - start for start, end in self.nodes]
        fields = [
            self.source, self.path, self.language, self.text, starts, sizes,
            _differences(self.chunks),
        ]  # fmt: skip
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> PackedFile:
        """Read what :meth:`to_line` wrote."""
        source, path, language, text, starts, sizes, chunks = json.loads(line)
        begins = itertools.accumulate(starts)
        nodes = tuple((start, start + size) for start, size in zip(begins, sizes, strict=True))
        return cls(source, path, language, text, nodes, tuple(itertools.accumulate(chunks)))


def _differences(numbers: Iterable[int]) -> list[int]:
    found, last = [], 0
    for number in numbers:
        found.append(number - last)
        last = number
    return found


def write_pack(path: Path, sources: list[dict[str, Any]], files: Iterable[PackedFile]) -> int:
    """Write a pack; return its size in bytes."""
    temporary = path.with_name(path.name + ".part")
    with lzma.open(
        temporary, "wt", encoding="utf-8", newline="\n", format=lzma.FORMAT_XZ, filters=FILTERS
    ) as out:
        out.write(json.dumps(sources) + "\n")
        for file in files:
            out.write(file.to_line() + "\n")
    temporary.replace(path)
    return path.stat().st_size


def read_pack(path: Path) -> tuple[list[dict[str, Any]], Iterator[PackedFile]]:
    """The sources of a pack, and its files as they are read."""
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        sources = json.loads(next(lines))

    def files() -> Iterator[PackedFile]:
        with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            next(lines)
            yield from map(PackedFile.from_line, lines)

    return sources, files()
