"""How much of an accepted text is still there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.corpus import retained_text
from git_copilot.index.corpus.retained_text import retained_characters


@pytest.mark.parametrize(
    ("accepted", "now", "kept"),
    [
        ("total * 2", "total * 2", 9),
        ("total * 2", "x = total * 2 + 1", 9),
        ("total * 2", "width - height", 0),
        ("total * 2", "total + 2", len("total 2") + 1),
        ("compute(total, width)", "compute(total, height)", len("compute(total, ")),
        ("(a, b)", "(c, d)", 0),
        ("area", "areas", 4),
        ("if a:\n    b()\n", "if a:\n    c()\n", len("if a:\n    ")),
        ("", "x", 0),
    ],
)
def test_whole_words_in_order_are_retained(accepted, now, kept):
    assert retained_characters(accepted, now) == kept


@given(st.text("ab( \n", max_size=40), st.text("ab( \n", max_size=40))
def test_at_most_all_is_retained_and_all_of_an_equal_text(accepted, now):
    assert 0 <= retained_characters(accepted, now) <= len(accepted)
    assert retained_characters(accepted, accepted) == len(accepted)


def test_long_texts_are_compared_up_to_their_first_difference(monkeypatch):
    monkeypatch.setattr(retained_text, "MAX_PAIRS", 3)
    assert retained_characters("one two three", "one two four five") == len("one two ")
