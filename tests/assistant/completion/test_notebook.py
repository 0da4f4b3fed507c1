"""Notebooks are completed by cell, never as JSON."""

from __future__ import annotations

import json

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.index.core.errors import CopilotError
from tests.support.initialised_repo import initialise_repository


def notebook(*cells, language="python", lines=True):
    made = [
        {"cell_type": kind, "metadata": {}, "source": text.splitlines(True) if lines else text}
        for kind, text in cells
    ]
    facts = {"cells": made, "nbformat": 4, "metadata": {"kernelspec": {"language": language}}}
    return json.dumps(facts, indent=1)


CELLS = (
    ("markdown", "# A title"),
    ("code", "import math\nradius = 2"),
    ("code", "def area(r):\n    return "),
    ("code", "print(area(radius))"),
)


@pytest.fixture
def project(repo, folder):
    repo.commit({"nb/a.ipynb": notebook(*CELLS), "x.py": "y = 1\n"})
    return initialise_repository(repo, folder, feedback="true")


def place_of(project, location, **more):
    return find_place(CompleteRequest(location, project.path, retrieval=False, **more))


@pytest.mark.parametrize("lines", [True, False])
def test_a_cell_is_cut_with_the_code_of_the_others_around_it(project, lines):
    (project.path / "nb/a.ipynb").write_text(notebook(*CELLS, lines=lines))
    place = place_of(project, "nb/a.ipynb#3:2")
    document = place.document
    assert document.prefix == "import math\nradius = 2\n\ndef area(r):\n    return "
    assert document.suffix == "\n\nprint(area(radius))"
    assert (document.line, document.column) == (2, 12)
    assert (place.notebook, place.path) == ("nb/a.ipynb", "nb/a.ipynb.py")


def test_the_answer_names_the_notebook_and_the_line_of_the_cell(project, session):
    request = CompleteRequest("nb/a.ipynb#3:2:5", project.path, retrieval=False)
    fields = complete(request, find_place(request), session, Callbacks()).to_json()
    assert (fields["file"], fields["line"], fields["column"]) == ("nb/a.ipynb", 2, 5)
    assert session.take_deferred() == []  # nothing is recorded under a name that does not exist


def test_an_unsaved_cell_and_an_older_commit(project):
    place = place_of(project, "nb/a.ipynb#4:1", text=b"area(")
    assert place.document.prefix.endswith("    return \n\narea(")
    project.commit({"nb/a.ipynb": notebook(("code", "z = 1"))})
    assert place_of(project, "nb/a.ipynb#1:1").document.prefix == "z = 1"
    assert place_of(project, "nb/a.ipynb#2:1", at="HEAD^").document.prefix == "import math"


@pytest.mark.parametrize(
    ("language", "extension"), [("R", ".r"), ("julia", ".jl"), ("unheard of", ".py")]
)
def test_the_language_is_the_kernels(project, language, extension):
    (project.path / "nb/a.ipynb").write_text(notebook(*CELLS, language=language))
    assert place_of(project, "nb/a.ipynb#2:1").path == f"nb/a.ipynb{extension}"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("nb/a.ipynb:3", "is a notebook"),
        ("nb/a.ipynb#0:1", "no number of a cell"),
        ("nb/a.ipynb#x:1", "no number of a cell"),
        ("nb/a.ipynb#9:1", "has 4 cells"),
        ("nb/a.ipynb#1:1", "is markdown"),
        ("nb/a.ipynb#2:9", "line"),
        ("nb/b.ipynb#2:9", "does not exist"),
    ],
)
def test_a_place_that_does_not_exist_is_a_one_line_error(project, location, words):
    with pytest.raises(CopilotError, match=words) as error:
        place_of(project, location)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [{}]}', '{"cells": 3}', "\x00\x01"])
def test_a_damaged_notebook_is_a_one_line_error(project, text):
    (project.path / "nb/a.ipynb").write_text(text)
    with pytest.raises(CopilotError, match=r"no notebook|binary"):
        place_of(project, "nb/a.ipynb#1:1")
