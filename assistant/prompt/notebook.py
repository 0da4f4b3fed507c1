"""A cell of a Jupyter notebook as a document: the code cells before it, and those behind it. Pure.

The format is nbformat 4: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from git_copilot.assistant.prompt.location import Document, Location, cut_document
from git_copilot.index.core.errors import LocationError

SUFFIX = ".ipynb"
# Between two cells; a cell of another kind than code is not shown.
BETWEEN = "\n\n"
_EXTENSIONS = {
    "python": ".py", "r": ".r", "julia": ".jl", "javascript": ".js", "typescript": ".ts",
    "rust": ".rs", "go": ".go", "java": ".java", "kotlin": ".kt", "scala": ".scala", "c++": ".cpp",
    "ruby": ".rb", "bash": ".sh", "sql": ".sql",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CellLocation:
    """A place in a cell: its number in the notebook, from 1, and the line and column in it."""

    file: str
    cell: int
    line: int
    column: int | None

    @classmethod
    def of(cls, location: Location) -> CellLocation | None:
        """Read ``FILE.ipynb#CELL``; ``None`` for another file.

        :raises LocationError: the cell is missing or no number.
        """
        file, mark, cell = location.file.rpartition("#")
        if mark and file.endswith(SUFFIX):
            if not cell.isdigit() or int(cell) < 1:
                raise LocationError(f"{cell!r} is no number of a cell", HINT)
            return cls(file, int(cell), location.line, location.column)
        if location.file.endswith(SUFFIX):
            raise LocationError(f"{location.file} is a notebook", HINT)
        return None


HINT = "name a cell and its line, counted from 1: FILE.ipynb#CELL:LINE"


@dataclass(frozen=True, slots=True)
class Notebook:
    """The cells of a notebook, as (kind, source), and the extension of its language."""

    cells: tuple[tuple[str, str], ...]
    extension: str

    @classmethod
    def parse(cls, data: bytes, name: str) -> Notebook:
        """:raises LocationError: the file is no notebook."""
        try:
            facts: Any = json.loads(data)
            cells = tuple((str(c["cell_type"]), _text(c["source"])) for c in facts["cells"])
            metadata = facts.get("metadata", {})
            language = metadata.get("language_info", {}).get("name") or metadata.get(
                "kernelspec", {}
            ).get("language", "python")
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise LocationError(f"{name} is no notebook of format 4", "save it again") from exc
        return cls(cells, _EXTENSIONS.get(str(language).lower(), ".py"))

    def document(self, place: CellLocation, source: str | None = None) -> Document:
        """The notebook's code cut at a place.

        :param source: the unsaved text of the cell.
        :raises LocationError: the cell, the line or the column does not exist.
        """
        if place.cell > len(self.cells):
            raise LocationError(f"{place.file} has {len(self.cells)} cells, not {place.cell}", HINT)
        kind, saved = self.cells[place.cell - 1]
        if kind != "code":
            raise LocationError(f"cell {place.cell} of {place.file} is {kind}, not code", HINT)
        text = saved if source is None else source
        location = Location(f"{place.file}#{place.cell}", place.line, place.column)
        cut = cut_document(text.encode("utf-8", "surrogatepass"), location)
        above = [code for kind, code in self.cells[: place.cell - 1] if kind == "code"]
        below = [code for kind, code in self.cells[place.cell :] if kind == "code"]
        return Document(
            prefix="".join(f"{code}{BETWEEN}" for code in above) + cut.prefix,
            suffix=cut.suffix + "".join(f"{BETWEEN}{code}" for code in below),
            line=cut.line,
            column=cut.column,
            newline="\n",
            encoding="utf-8",
            offset=0,
        )


def _text(source: Any) -> str:
    """The source of a cell, which is one string or a list of lines."""
    text = source if isinstance(source, str) else "".join(source)
    return text.replace("\r\n", "\n")
