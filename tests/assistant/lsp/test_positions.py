"""Lines and columns as the protocol counts them."""

from __future__ import annotations

import pytest

from git_copilot.assistant.lsp.positions import (
    UTF8,
    UTF16,
    UTF32,
    choose_encoding,
    count_units,
    index_at_units,
    split_lines,
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a\n", ""]),
        ("a\r\nb\rc\nd", ["a\r\n", "b\r", "c\n", "d"]),
        ("\r\r\n\n", ["\r", "\r\n", "\n", ""]),
    ],
)
def test_lines_end_with_the_three_line_ends(text, lines):
    assert split_lines(text) == lines


def test_a_form_feed_or_a_unicode_separator_ends_no_line():
    text = "a\x0cb\x85c\u2028d\n"
    assert split_lines(text) == [text, ""]
    assert len(text.splitlines()) == 4  # what a library would count


@pytest.mark.parametrize(
    ("encoding", "units"), [(UTF8, [1, 3, 7]), (UTF16, [1, 2, 4]), (UTF32, [1, 2, 3])]
)
def test_code_units_of_each_encoding(encoding, units):
    assert [count_units("aé😀"[:end], encoding) for end in (1, 2, 3)] == units
    assert [index_at_units("aé😀", unit, encoding) for unit in units] == [1, 2, 3]


def test_a_position_within_a_character_is_before_it():
    assert index_at_units("a😀b", 2, UTF16) == 1
    assert index_at_units("a😀b", 3, UTF8) == 1


def test_a_position_outside_of_a_line_is_its_nearest_end():
    assert index_at_units("ab", 9, UTF16) == 2
    assert index_at_units("é", 9, UTF8) == 1
    assert index_at_units("ab", -1, UTF16) == 0


def test_half_a_character_counts_as_one_unit():
    assert count_units("\ud83d", UTF16) == 1
    assert count_units("\ud83d", UTF8) == 3


def test_the_clients_first_known_encoding_is_chosen():
    assert choose_encoding(["utf-7", "utf-8", "utf-16"]) == UTF8
    assert choose_encoding(["utf-32"]) == UTF32
    assert choose_encoding([]) == UTF16
