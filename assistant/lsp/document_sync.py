"""Handlers that keep documents and notebooks in sync."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types

from git_copilot.assistant.lsp.completer import InlineCompleter
from git_copilot.assistant.lsp.documents import SyncedDocument
from git_copilot.assistant.lsp.notebooks import CODE, NotebookCell

_Change = types.TextDocumentContentChangePartial | types.TextDocumentContentChangeWholeDocument


class DocumentSync:
    """Applies the messages of a client to the documents of a completer."""

    def __init__(self, completer: InlineCompleter) -> None:
        self._completer = completer
        self._documents, self._notebooks = completer.documents, completer.notebooks

    def did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self._open(params.text_document)

    def did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._change(params.text_document.uri, params.content_changes)

    def did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self._close(params.text_document.uri)

    def did_open_notebook(self, params: types.DidOpenNotebookDocumentParams) -> None:
        for document in params.cell_text_documents:
            self._open(document)
        notebook = params.notebook_document
        self._notebooks.open(notebook.uri, _cells(notebook.cells))

    def did_change_notebook(self, params: types.DidChangeNotebookDocumentParams) -> None:
        cells = params.change.cells
        if cells is None:
            return
        structure = cells.structure
        if structure is not None:
            for document in structure.did_open or ():
                self._open(document)
            array = structure.array
            self._notebooks.splice(
                params.notebook_document.uri,
                array.start,
                array.delete_count,
                _cells(array.cells or ()),
            )
            for closed in structure.did_close or ():
                self._close(closed.uri)
        for text in cells.text_content or ():
            self._change(text.document.uri, text.changes)

    def did_close_notebook(self, params: types.DidCloseNotebookDocumentParams) -> None:
        for document in params.cell_text_documents:
            self._close(document.uri)
        self._notebooks.close(params.notebook_document.uri)

    def _open(self, item: types.TextDocumentItem) -> None:
        language = item.language_id
        name = language.value if isinstance(language, types.LanguageKind) else language
        self._documents.open(item.uri, item.text, name)

    def _change(self, uri: str, changes: Iterable[_Change]) -> None:
        document = self._documents.use(uri)
        for change in changes:
            if not isinstance(change, types.TextDocumentContentChangePartial):
                # The whole text also opens a document whose opening was missed.
                document = document or self._documents.open(uri, "")
                document.replace_all(change.text)
            elif document is not None:
                self._replace(document, change.range, change.text)

    def _replace(self, document: SyncedDocument, span: types.Range, text: str) -> None:
        encoding = self._completer.encoding
        start = document.cursor_at(span.start.line, span.start.character, encoding)
        end = document.cursor_at(span.end.line, span.end.character, encoding)
        document.replace(start, end, text)

    def _close(self, uri: str) -> None:
        self._documents.close(uri)
        self._completer.unsaved.forget(uri)


def _cells(cells: Iterable[types.NotebookCell]) -> list[NotebookCell]:
    return [NotebookCell(cell.document, cell.kind == CODE) for cell in cells]
