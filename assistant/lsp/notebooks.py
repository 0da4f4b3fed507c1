"""Notebooks whose cells the client keeps in sync, as one text a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from git_copilot.assistant.lsp.documents import DocumentStore, SyncedDocument
from git_copilot.assistant.lsp.positions import Cursor, line_text, split_lines
from git_copilot.assistant.lsp.uris import uri_key
from git_copilot.assistant.prompt.notebook import BETWEEN

CODE = 2  # a cell's kind in the protocol; 1 is markup
_EXTENSIONS = {
    "python": ".py", "r": ".r", "julia": ".jl", "javascript": ".js", "typescript": ".ts",
    "rust": ".rs", "go": ".go", "java": ".java", "kotlin": ".kt", "scala": ".scala", "cpp": ".cpp",
    "ruby": ".rb", "shellscript": ".sh", "sql": ".sql",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NotebookCell:
    """A cell of a notebook: the URI of its text, and whether it is code."""

    uri: str
    is_code: bool


def code_extension(language: str) -> str:
    """What the name of a notebook gets behind it, so that its text counts as code."""
    return _EXTENSIONS.get(language, ".py")


class NotebookStore:
    """The open notebooks: their cells in order. The texts of the cells are documents."""

    def __init__(self) -> None:
        self._cells: dict[str, list[NotebookCell]] = {}

    def open(self, uri: str, cells: Iterable[NotebookCell]) -> None:
        self._cells[uri_key(uri)] = list(cells)

    def splice(self, uri: str, start: int, count: int, cells: Iterable[NotebookCell]) -> None:
        """Put cells in the place of ``count`` others."""
        self._cells.setdefault(uri_key(uri), [])[start : start + count] = cells

    def close(self, uri: str) -> None:
        self._cells.pop(uri_key(uri), None)

    def code_around(
        self, document: SyncedDocument, cursor: Cursor, documents: DocumentStore
    ) -> tuple[list[str], Cursor]:
        """The code cells of a cell's notebook as lines, and the cursor in them; the cell alone where
        its notebook is not open."""
        key = uri_key(document.uri)
        cells = next((c for c in self._cells.values() if any(uri_key(x.uri) == key for x in c)), [])
        texts: list[str] = []
        above = 0
        for cell in cells:
            here = uri_key(cell.uri) == key
            found = document if here else documents.find(cell.uri)
            if found is None or not (cell.is_code or here):
                continue
            if here:
                above = len(split_lines("".join(f"{text}{BETWEEN}" for text in texts))) - 1
            texts.append("\n".join(line_text(line) for line in found.lines))
        if not texts:
            return document.lines, cursor
        return split_lines(BETWEEN.join(texts)), Cursor(above + cursor.line, cursor.column)
