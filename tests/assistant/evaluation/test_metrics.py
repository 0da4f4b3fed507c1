"""Metrics against their definitions and against independently computed values."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.evaluation.metrics import (
    Score,
    compare,
    edit_similarity,
    exact_match,
    mcnemar,
    summarise,
)

SHORT = st.text(alphabet="ab\n é", max_size=12)


def table(first, second):
    """The textbook's table."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def score(commit, em=0.0, nll=1.0, tokens=1, es=0.0, end=0.5):
    return Score(commit, em, es, nll, end, tokens)


@given(SHORT, SHORT)
def test_edit_similarity_uses_the_textbooks_distance(first, second):
    first, second = first.rstrip(), second.rstrip()
    longest = max(len(first), len(second), 1)
    expected = 100 * (1 - table(first, second) / longest)
    assert edit_similarity(first, second) == pytest.approx(expected)


def test_levenshtein_of_long_texts_is_exact():
    similarity = edit_similarity("x" * 700 + "kitten", "x" * 700 + "sitting")
    assert similarity == pytest.approx(100 * (1 - 3 / 707))


@given(SHORT, SHORT)
def test_edit_similarity_is_symmetric_and_100_only_for_equal_texts(first, second):
    value = edit_similarity(first, second)
    assert value == edit_similarity(second, first)
    assert 0 <= value <= 100
    assert (value == 100) == (exact_match(first, second) == 100)


def test_edit_similarity_of_known_texts():
    assert edit_similarity("kitten", "sitting") == pytest.approx(100 * (1 - 3 / 7))


@pytest.mark.parametrize(
    ("completion", "equal"), [("a = 1\n ", True), ("a = 1", True), (" a = 1", False), ("", False)]
)
def test_exact_match_ignores_white_space_at_the_end_only(completion, equal):
    assert (exact_match(completion, "a = 1\n") == 100) is equal


def test_summary_counts_the_end_token():
    found = summarise([score("a", 100, nll=3, tokens=2), score("b", nll=5, tokens=4)])
    assert found.to_json() == {"em": 50.0, "es": 0.0, "nll": round(9 / 8, 5)}


@pytest.mark.parametrize(
    ("won", "lost", "p"), [(0, 0, 1.0), (1, 0, 1.0), (10, 2, 0.03857421875), (5, 5, 1.0)]
)
def test_mcnemar_equals_the_binomial_tail(won, lost, p):
    assert mcnemar(won, lost) == pytest.approx(p)
    assert mcnemar(lost, won) == pytest.approx(p)


def test_a_constant_difference_has_a_zero_width_interval():
    before = [score(str(i % 7), nll=4.0, tokens=2) for i in range(30)]
    after = [score(str(i % 7), em=100, nll=3.0, tokens=2) for i in range(30)]
    found = compare(before, after)
    assert (found.em.value, found.em.low, found.em.high) == (100, 100, 100)
    assert (found.nll.value, found.nll.low, found.nll.high) == (-0.5, -0.5, -0.5)
    assert (found.es.value, found.es.low, found.es.high) == (0, 0, 0)
    assert (found.won, found.lost) == (30, 0)


def test_likelihood_is_per_token_and_leaves_the_end_token_out():
    before = [score("a", nll=10, tokens=9, end=9), score("b", nll=1, tokens=1, end=9)]
    after = [score("a", nll=1, tokens=9, end=0), score("b", nll=1, tokens=1, end=0)]
    assert compare(before, after).nll.value == pytest.approx(-0.9)


def test_holes_of_one_commit_are_not_counted_as_independent():
    def arms(commits):
        before = [score(f"c{i // (40 // commits)}") for i in range(40)]
        after = [score(s.commit, em=100.0 if int(s.commit[1:]) % 2 else 0.0) for s in before]
        return compare(before, after).em

    few, many = arms(4), arms(40)
    assert few.high - few.low > many.high - many.low


def test_one_commit_gives_no_interval():
    found = compare([score("a")] * 30, [score("a", em=100)] * 30)
    assert (found.em.low, found.em.high) == (-math.inf, math.inf)


def test_the_interval_depends_on_the_seed_only():
    before = [score(str(i), nll=i % 5) for i in range(30)]
    after = [score(str(i), nll=(i * 0.7318) % 5) for i in range(30)]
    assert compare(before, after, 3) == compare(before, after, 3)
    assert compare(before, after, 3).nll.low != compare(before, after, 4).nll.low


def test_comparing_arms_with_different_holes_is_refused():
    with pytest.raises(ValueError, match="same holes"):
        compare([score("a")], [])


def test_exact_match_is_not_compared_where_some_holes_were_not_completed():
    before = [score(f"c{i}", 100, nll=3, tokens=2) for i in range(6)]
    after = [dataclasses.replace(s, em=0.0, nll=2.0) for s in before]
    assert compare(before, after).lost == 6
    partly = [*after[:5], dataclasses.replace(after[5], completed=False)]
    found = compare(before, partly)
    assert not found.completed
    assert (found.won, found.lost, found.em.value) == (0, 0, 0.0)
    assert found.nll.value == compare(before, after).nll.value < 0
    summary = summarise(partly)
    assert (summary.em, summary.es) == (None, None)
    assert summary.nll == summarise(after).nll
