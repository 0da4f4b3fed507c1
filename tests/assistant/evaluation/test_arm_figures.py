"""The figures of an arm are those that a person would count."""

from __future__ import annotations

import math

import pytest

from git_copilot.assistant.evaluation.arm_figures import FigureMaker
from git_copilot.assistant.evaluation.hole_results import BASE, Answer, HoleResult
from git_copilot.assistant.evaluation.metrics import Score
from git_copilot.index.core.types import Hole

# What was written, and what an arm wrote.
ANSWERS = (
    ("x = area(w)", "x = area(w)"),
    ("x = area(w)\n    return x", "x = area(w)\n    pass"),
    ("x = 1", "x = 1\n    y = 2"),
    ("x = 2", ""),
    ("x = 3", "x = 4"),
)


def results():
    found = []
    for i, (truth, text) in enumerate(ANSWERS):
        hole = Hole("c", "b", "m.py", 0, 1, "line", "A", i, "python")
        score = Score("c", 100.0 * (text == truth), 50.0, math.log(2) * 6, math.log(2) * 2, 3)
        found.append(HoleResult(hole, f"{i}", truth, "", (), {BASE: Answer(text, score)}, 4))
    return found


def test_each_figure_is_a_mean_over_the_holes():
    found = FigureMaker(results()).of(BASE)
    assert found.exact_match == pytest.approx(20)
    assert found.first_line == pytest.approx(60)  # the first three
    assert found.edit_similarity == pytest.approx(50)
    assert found.overrun == pytest.approx(20)  # the third
    assert found.empty == pytest.approx(20)
    assert found.bits_per_byte == pytest.approx(2)  # 6 and 2 bits for 4 bytes
    assert 0 < found.crystal_bleu < 100


def test_figures_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no holes"):
        FigureMaker([]).of(BASE)
