"""The texts of open documents, kept in sync by incremental changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from git_copilot.assistant.lsp.positions import (
    Cursor,
    index_at_units,
    line_text,
    split_lines,
)
from git_copilot.assistant.lsp.uris import file_path, uri_key

BOM = "\ufeff"


@dataclass(slots=True)
class SyncedDocument:
    """An open document. ``lines`` have their ends; ``revision`` counts the changes."""

    uri: str
    path: Path | None
    language: str = ""
    lines: list[str] = field(default_factory=lambda: [""])
    revision: int = 0

    @classmethod
    def of(cls, uri: str, text: str, language: str = "") -> SyncedDocument:
        return cls(uri, file_path(uri), language, split_lines(text))

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def replace_all(self, text: str) -> None:
        self.lines = split_lines(text)
        self.revision += 1

    def replace(self, start: Cursor, end: Cursor, text: str) -> None:
        """Put ``text`` between two places. Costs what the touched lines cost, not the document."""
        if end < start:
            start, end = end, start
        first, last = start.line, end.line
        merged = self.lines[first][: start.column] + text + self.lines[last][end.column :]
        if first and merged.startswith("\n") and self.lines[first - 1].endswith("\r"):
            first -= 1
            merged = self.lines[first] + merged  # both are one line end now
        lines = split_lines(merged)
        if last + 1 < len(self.lines):
            lines.pop()  # empty: ``merged`` ends with the end of its last line
        self.lines[first : last + 1] = lines
        self.revision += 1

    def cursor_at(self, line: int, character: int, encoding: str) -> Cursor:
        """A position of the protocol; one outside of the text counts as the nearest place in it."""
        if line < 0:
            return Cursor(0, 0)
        if line >= len(self.lines):
            return Cursor(len(self.lines) - 1, len(line_text(self.lines[-1])))
        return Cursor(line, index_at_units(line_text(self.lines[line]), character, encoding))


def server_location(lines: list[str], cursor: Cursor) -> tuple[int, int]:
    """Line and column of a place as the server counts them, from 1: its lines end with ``\\n`` only,
    and the mark at the beginning of a file is no character."""
    first = cursor.line
    column = cursor.column
    while first and lines[first - 1].endswith("\r"):
        first -= 1
        column += len(lines[first])
    line = 1 + sum(not each.endswith("\r") for each in lines[:first])
    if first == 0 and lines[0].startswith(BOM):
        column = max(0, column - 1)
    return line, column + 1


class DocumentStore:
    """All open documents; the one that was used last comes first."""

    def __init__(self) -> None:
        self._documents: dict[str, SyncedDocument] = {}

    def open(self, uri: str, text: str, language: str = "") -> SyncedDocument:
        document = SyncedDocument.of(uri, text, language)
        self._documents.pop(uri_key(uri), None)
        self._documents[uri_key(uri)] = document
        return document

    def close(self, uri: str) -> None:
        self._documents.pop(uri_key(uri), None)

    def find(self, uri: str) -> SyncedDocument | None:
        return self._documents.get(uri_key(uri))

    def use(self, uri: str) -> SyncedDocument | None:
        """The same as :meth:`find`, and the document now comes first."""
        document = self._documents.pop(uri_key(uri), None)
        if document is not None:
            self._documents[uri_key(uri)] = document
        return document

    def __iter__(self) -> Iterator[SyncedDocument]:
        return iter(list(reversed(self._documents.values())))
