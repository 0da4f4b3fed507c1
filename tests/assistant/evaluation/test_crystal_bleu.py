"""CrystalBLEU counts what code does not share."""

from __future__ import annotations

import math

import pytest

from git_copilot.assistant.evaluation.crystal_bleu import crystal_bleu, shared_ngrams

NOTHING = frozenset()
LINE = "total = price.rounded(digits) + tax.of(price)"


def test_the_same_text_has_all_points_and_another_none():
    assert crystal_bleu([(LINE, LINE)], NOTHING) == pytest.approx(100)
    assert crystal_bleu([("return None", LINE)], NOTHING) == 0
    assert crystal_bleu([("", LINE)], NOTHING) == 0
    assert crystal_bleu([], NOTHING) == 0


def test_white_space_is_no_token():
    assert crystal_bleu([("f( a,b )[0] . c", "f(a, b)[0].c")], NOTHING) == pytest.approx(100)


def test_it_is_bleu_where_nothing_is_shared():
    # Five tokens, of which the last differs: precisions 4/5, 3/4, 2/3 and 1/2.
    expected = 100 * math.exp(sum(map(math.log, (4 / 5, 3 / 4, 2 / 3, 1 / 2))) / 4)
    assert crystal_bleu([("a b c d e", "a b c d f")], NOTHING) == pytest.approx(expected)


def test_a_short_answer_is_penalised():
    full = crystal_bleu([("a b c d e f", "a b c d e f")], NOTHING)
    assert crystal_bleu([("a b c d", "a b c d e f")], NOTHING) == pytest.approx(
        full * math.exp(1 - 6 / 4)
    )


def test_what_all_code_shares_does_not_count():
    """Two answers as near to the truth by BLEU: one shares punctuation with it, one its names."""
    shared = shared_ngrams(["(self, x):\n" * 50], count=30)
    truth = "def area(self, x): return width by height"
    names, form = (
        "make area self by return width by height",
        "def other(self, x): raise Error at last",
    )
    assert crystal_bleu([(names, truth)], shared) > crystal_bleu([(form, truth)], shared) == 0
    assert crystal_bleu([(form, truth)], NOTHING) > 0


def test_the_most_frequent_are_chosen_and_equal_ones_by_their_text():
    assert shared_ngrams(["b a b"], count=1) == {("b",)}
    assert shared_ngrams(["b a"], count=1) == {("a",)}
    assert shared_ngrams([], count=5) == NOTHING
