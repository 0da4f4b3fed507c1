"""Cells of notebooks as text."""

from __future__ import annotations

import json

from git_copilot.assistant.lsp.documents import DocumentStore, server_location
from git_copilot.assistant.lsp.notebooks import NotebookCell, NotebookStore, code_extension
from git_copilot.assistant.lsp.positions import Cursor
from git_copilot.assistant.prompt.location import Location, cut_document
from git_copilot.assistant.prompt.notebook import CellLocation, Notebook

NOTEBOOK = "file:///w/a.ipynb"


def cell(number):
    return f"vscode-notebook-cell:/w/a.ipynb#{number}"


def opened(*texts):
    documents, notebooks = DocumentStore(), NotebookStore()
    for number, (_, text) in enumerate(texts):
        documents.open(cell(number), text, "python")
    notebooks.open(NOTEBOOK, [NotebookCell(cell(n), kind) for n, (kind, _) in enumerate(texts)])
    return documents, notebooks


def test_the_text_is_that_of_a_saved_notebook():
    texts = [(True, "import os\nx = 1"), (False, "# Title"), (True, "y = x\nz"), (True, "done()")]
    documents, notebooks = opened(*texts)
    lines, cursor = notebooks.code_around(documents.find(cell(2)), Cursor(1, 1), documents)
    line, column = server_location(lines, cursor)
    ours = cut_document("".join(lines).encode(), Location("a.py", line, column))
    cells = [{"cell_type": "code" if code else "markdown", "source": x} for code, x in texts]
    saved = Notebook.parse(json.dumps({"cells": cells}).encode(), "a.ipynb")
    theirs = saved.document(CellLocation("a.ipynb", 3, 2, 2))
    assert (ours.prefix, ours.suffix) == (theirs.prefix, theirs.suffix)


def test_cells_are_added_moved_and_removed():
    documents, notebooks = opened((True, "a"), (True, "b"), (True, "c"))
    notebooks.splice(NOTEBOOK, 1, 1, [])
    documents.open(cell(7), "new", "python")
    notebooks.splice(NOTEBOOK, 0, 0, [NotebookCell(cell(7), True)])
    lines, cursor = notebooks.code_around(documents.find(cell(2)), Cursor(0, 1), documents)
    assert "".join(lines) == "new\n\na\n\nc" and cursor == Cursor(4, 1)
    notebooks.close(NOTEBOOK)
    alone = notebooks.code_around(documents.find(cell(2)), Cursor(0, 1), documents)
    assert alone == (["c"], Cursor(0, 1))


def test_the_name_of_the_text_tells_its_language():
    assert code_extension("python") == ".py" and code_extension("julia") == ".jl"
