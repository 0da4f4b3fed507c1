"""The figures of an arm are those that a person would count."""

from __future__ import annotations

import math
import random

import pytest

from git_copilot.assistant.evaluation.arm_figures import (
    FigureMaker,
    compare_saved,
    saved_characters,
)
from git_copilot.assistant.evaluation.hole_results import ADAPTER, BASE, Answer, HoleResult
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


@pytest.mark.parametrize(
    ("text", "truth", "saved"),
    [
        ("x = area(w)", "x = area(w)", 11),
        ("x = area(w)\n", "x = area(w)", 11),
        ("x = area(w)", "x = area(width)", 9),  # `w` is the beginning of another word
        ("x = area(width)", "x = area(w)", 9),
        ("x = area(w", "x = area(w)", 10),  # a whole word
        ("x = area(h)", "x = area(w)", 9),
        ("", "x", 0),
        ("width", "w", 0),
        ("x = 1\n    y = 2", "x = 1", 5),  # what goes too far is not accepted
    ],
)
def test_characters_are_saved_as_long_as_whole_words_are_right(text, truth, saved):
    assert saved_characters(text, truth) == saved


def test_saved_characters_are_a_share_of_all():
    found = FigureMaker(results()).of(BASE)
    assert found.saved == pytest.approx(100 * (11 + 16 + 5 + 0 + 4) / (11 + 24 + 5 + 5 + 5))


def test_the_saved_characters_of_two_arms_are_compared_with_an_interval():
    rng = random.Random(0)
    made = []
    for i in range(60):
        hole = Hole(f"c{i % 12}", "b", "m.py", 0, 1, "line", "A", i, "python")
        score = Score(hole.commit, 0.0, 50.0, 9.0, 1.0, 3)
        texts = {BASE: "x = other", ADAPTER: rng.choice(("x = value", "x = other"))}
        answers = {name: Answer(text, score) for name, text in texts.items()}
        made.append(HoleResult(hole, f"{i}", "x = value", "", (), answers, 9))
    found = compare_saved(made, BASE, ADAPTER)
    assert 0 < found.low < found.value < found.high < 60
    same = compare_saved(made, BASE, BASE)
    assert (same.value, same.low, same.high) == (0, 0, 0)
