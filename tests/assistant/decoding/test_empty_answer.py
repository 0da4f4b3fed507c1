"""Complete files stay valid: nothing is written where nothing is missing."""

from __future__ import annotations

import pytest
import torch

from git_copilot.assistant.decoding.empty_answer import MAX_END_NATS, EmptyMargin
from git_copilot.assistant.postprocess.repetition import loop_in_line
from git_copilot.assistant.postprocess.trim import Trimmer

AREA = "\n    if w < 0 or h < 0:\n        raise ValueError\n    return w * h\n"


@pytest.mark.parametrize(
    ("prefix", "text", "suffix", "wanted"),
    [
        ("x = 1", "\nif x:", "\ny = 2\n", ""),
        ("x = [1, 2]", "\n)", "\n", ""),
        ("def area(w, h):", '\n    """The area.', AREA, ""),
        ("def area(w, h):", '\n    """The area."""\n    return w * h', AREA, '\n    """The area."""'),
        ("x = a", "\n    y = b", "\nz = c\n", ""),
        ("class A:\n    x = 1", "\n    y = 2", "\n    z = 3\n", "\n    y = 2"),
        ("", "import os", "", ""),
        ("class A:\n    def f(self):\n        return self", ".h\n ", "\n", ".h"),
        ("x =", " y  ", "\n", " y"),
        ("x = f(a, ", "b ", ")\n", "b"),
        ("x =", " ", "y\n", " "),
    ],
)  # fmt: skip
def test_a_valid_file_stays_valid(prefix, text, suffix, wanted):
    assert Trimmer(prefix, suffix, path="a.py").trim(text).text == wanted


def test_the_empty_answer_wins_when_likelier_and_the_file_is_complete():
    whole = Trimmer("x = 1", "\ny = 2\n", path="a.py")
    assert (
        whole.trim("\nz = 3", empty_margin=0.5).text,
        whole.trim("\nz = 3", empty_margin=0.5).rule,
    ) == (
        "",
        "nothing",
    )
    assert whole.trim("\nz = 3", empty_margin=-0.5).text == whole.trim("\nz = 3").text == "\nz = 3"
    assert Trimmer("x = ", "\ny = 2\n", path="a.py").trim("3", empty_margin=0.5).text == "3"
    assert (
        Trimmer("x = f(", ")\n", path="a.py").trim("3", empty_margin=0.5).text == "3"
    )  # an empty pair


def test_doubt_compares_the_first_line_with_ending_at_once():
    chances = torch.tensor([0.5, 0.25, 0.25]).log()
    margin = EmptyMargin([0])
    margin.add(1, chances, "")
    margin.add(2, chances, "\n a")
    margin.add(1, chances, "\n a\n")  # belongs to the next line
    assert margin.value == pytest.approx(3 * torch.tensor(2.0).log().item())
    rare = EmptyMargin([0])
    rare.add(1, torch.tensor([-MAX_END_NATS - 1, -9.0, 0.0]), "")
    assert rare.value == 0


def test_counting_loops_in_a_line_are_cut_unless_the_file_has_them():
    cells = "".join(f"<td>{number}</td>" for number in range(4, 30))
    assert loop_in_line(cells, "") == len("<td>4</td>")
    assert loop_in_line(cells, cells.replace("4", "7")) is None
    assert loop_in_line("# " + "1. " * 21, "") == len("# 1.")
    assert loop_in_line("x = [" + "item, " * 12, "") is None


def test_counting_lines_are_cut():
    text = "\n".join(f"    x{number} = {number}" for number in range(9))
    trimmed = Trimmer("def f():\n    y = g(\n", "", path="a.py").trim(text)
    assert (trimmed.text, trimmed.rule) == ("    x0 = 0", "loops")
