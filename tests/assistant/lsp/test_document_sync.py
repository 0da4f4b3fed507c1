"""Messages that change documents and notebooks."""

from __future__ import annotations

import pytest
from lsprotocol import types

from git_copilot.assistant.lsp.completer import InlineCompleter
from git_copilot.assistant.lsp.document_sync import DocumentSync
from git_copilot.assistant.lsp.notices import Notices
from git_copilot.assistant.lsp.positions import Cursor
from git_copilot.assistant.lsp.progress import ProgressReporter

URI, NOTEBOOK = "file:///w/a.py", "file:///w/n.ipynb"


@pytest.fixture
def completer():
    completer = InlineCompleter(Notices(lambda *_: None), ProgressReporter())
    yield completer
    completer.close()


@pytest.fixture
def sync(completer):
    return DocumentSync(completer)


def item(uri, text):
    return types.TextDocumentItem(uri, types.LanguageKind.Python, 1, text)


def opened(sync, uri, text):
    sync.did_open(types.DidOpenTextDocumentParams(item(uri, text)))


def changed(sync, *changes):
    document = types.VersionedTextDocumentIdentifier(2, URI)
    sync.did_change(types.DidChangeTextDocumentParams(document, changes))


def part(start, end, text):
    span = types.Range(types.Position(*start), types.Position(*end))
    return types.TextDocumentContentChangePartial(range=span, text=text)


def whole(text):
    return types.TextDocumentContentChangeWholeDocument(text=text)


def test_changes_of_one_message_are_applied_in_order(sync, completer):
    opened(sync, URI, "ab\n")
    changed(sync, part((0, 1), (0, 1), "x\n"), part((1, 0), (1, 1), "y"), part((9, 9), (9, 9), "z"))
    document = completer.documents.find(URI)
    assert document.text == "ax\ny\nz" and document.language == "python"
    changed(sync, whole("new\n"), part((0, 0), (0, 3), "old"))
    assert document.text == "old\n"


def test_a_document_whose_opening_was_missed(sync, completer):
    changed(sync, part((0, 0), (0, 0), "lost"))
    assert completer.documents.find(URI) is None
    changed(sync, whole("all of it"))
    assert completer.documents.find(URI).text == "all of it"
    sync.did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(URI)))
    assert completer.documents.find(URI) is None


def test_cells_that_come_and_go(sync, completer):
    def cells(*uris):
        return [types.NotebookCell(types.NotebookCellKind.Code, uri) for uri in uris]

    def shown(uri):
        document = completer.documents.find(uri)
        lines, _ = completer.notebooks.code_around(document, Cursor(0, 0), completer.documents)
        return "".join(lines)

    notebook = types.NotebookDocument(NOTEBOOK, "jupyter-notebook", 1, cells("c:1", "c:2"))
    texts = [item("c:1", "one"), item("c:2", "two")]
    sync.did_open_notebook(types.DidOpenNotebookDocumentParams(notebook, texts))
    assert shown("c:2") == "one\n\ntwo"
    structure = types.NotebookDocumentCellChangeStructure(
        array=types.NotebookCellArrayChange(start=0, delete_count=1, cells=cells("c:3")),
        did_open=[item("c:3", "three")],
        did_close=[types.TextDocumentIdentifier("c:1")],
    )
    for change in (
        types.NotebookDocumentChangeEvent(cells=types.NotebookDocumentCellChanges(structure)),
        types.NotebookDocumentChangeEvent(metadata={}),
    ):
        sync.did_change_notebook(
            types.DidChangeNotebookDocumentParams(
                types.VersionedNotebookDocumentIdentifier(2, NOTEBOOK), change
            )
        )
    assert shown("c:2") == "three\n\ntwo"
    closed = types.NotebookDocumentIdentifier(NOTEBOOK)
    kept = [types.TextDocumentIdentifier("c:3")]
    sync.did_close_notebook(types.DidCloseNotebookDocumentParams(closed, kept))
    assert shown("c:2") == "two" and completer.documents.find("c:3") is None
