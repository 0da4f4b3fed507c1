"""The holes that an adapter was trained on, stored beside its weights as places, never as text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from git_copilot.index.core.types import Hole

FILE = "holes.jsonl"
_FIELDS = ("commit", "blob", "path", "start", "end", "kind", "language")


def write_training_holes(folder: Path, holes: Iterable[Hole]) -> None:
    """Write one line per hole into an adapter's folder, in the order given."""
    # ASCII: a path that is not UTF-8 contains lone surrogates.
    rows = (json.dumps([getattr(hole, name) for name in _FIELDS]) for hole in holes)
    (folder / FILE).write_text("".join(f"{row}\n" for row in rows), "ascii")


def read_training_holes(folder: Path) -> list[Hole] | None:
    """The holes without author and time, or ``None`` where the list is damaged or missing (in
    adapters of older versions)."""
    try:
        rows = [json.loads(line) for line in (folder / FILE).read_text("ascii").splitlines()]
        return [
            Hole(
                str(commit), str(blob), str(path), int(start), int(end), str(kind), "", 0, str(lang)
            )
            for commit, blob, path, start, end, kind, lang in rows
        ]
    except (OSError, ValueError, TypeError):
        return None
