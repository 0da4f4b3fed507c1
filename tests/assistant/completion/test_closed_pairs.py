"""Brackets and quotes that an editor closed right of the cursor."""

from __future__ import annotations

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from tests.support.initialised_repo import initialise_repository
from tests.support.scripted_engine import ScriptedEngine, replace_engine
from tests.support.tiny_models import save_tiny


@pytest.fixture
def write(repo, folder, session, tmp_path):
    """What is answered at the end of a line, given what the model writes there."""
    tokenizer = TextTokenizer.load(save_tiny(tmp_path / "fim", fim=True))
    repo.commit({"a.py": "x = 1\n"})
    project = initialise_repository(repo, folder, feedback="false")

    def ask(line, closers, written, path="a.py", on_text=None):
        text = f"def area(w):\n    {line}{closers}\n    return w\n"
        column = len(f"    {line}") + 1
        request = CompleteRequest(
            f"{path}:2:{column}", project.path, text=text.encode(), retrieval=False
        )
        complete(request, find_place(request), session, Callbacks())
        replace_engine(session, ScriptedEngine(tokenizer, written))
        return complete(request, find_place(request), session, Callbacks(on_text=on_text))

    return ask


@pytest.mark.parametrize(
    ("line", "closers", "written", "completion", "whole_line"),
    [
        ("y = f(", ")", "w, 2)", "w, 2", None),
        ("y = f(", ")", "w, 2", "w, 2", None),
        ("y = f(", ")", "w).read()", "w", ("w).read()", 1)),
        ("y = f(g[", "])", "w])", "w", None),
        ('y = f("', '")', 'name", w)', "name", ('name", w)', 2)),
        ("y = {", "}", "'a': [w]}", "'a': [w]", None),
        ("if f(", "):", "w):", "w", None),
        ("y = f(", ")", "\n        w,\n        2,\n    )", "\n        w,\n        2,\n    ", None),
    ],
)
def test_the_answer_fits_between_the_cursor_and_its_closer(
    write, line, closers, written, completion, whole_line
):
    fields = write(line, closers, written).to_json()
    assert fields["completion"] == completion
    told = fields.get("whole_line")
    assert (told and (told["completion"], told["replaces"])) == whole_line
    assert "reason" not in fields


def test_the_prompt_is_that_of_a_line_without_closers(write):
    answer = write("y = f(", ")", "w)")
    assert "f(" in answer.explanation.prompt and "f()" not in answer.explanation.prompt
    # A byte model, whose prompt is spelt with its control tokens: no closer begins the suffix.
    assert ")\n    return w" not in answer.explanation.prompt


def test_an_empty_pair_says_why_nothing_is_proposed(write):
    fields = write("y = f(", ")", ").read()").to_json()
    assert fields["completion"] == ""
    assert fields["whole_line"] == {"completion": ").read()", "replaces": 1}
    assert "between the brackets" in fields["reason"]


def test_lines_behind_the_closed_pair_are_neither_streamed_nor_kept(write):
    seen = []
    answer = write("y = f(", ")", "w)\n    z = 3\n    q = 4", on_text=seen.append)
    assert answer.completion == "w" and answer.whole_line is None and seen == []


def test_closers_of_a_finished_line_are_left_to_the_model(write):
    answer = write("y = f(", ").read()", "w")
    assert ").read()" in answer.explanation.prompt
    assert answer.completion == "w"
