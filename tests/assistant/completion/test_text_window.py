"""A part of a file finds its place in the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.completion.text_window import Window, same_lines

FILE = "".join(f"def function_{n}(argument):\n    return argument + {n}\n\n\n" for n in range(60))


def part(begin, cursor, end, typed=""):
    return Window(FILE[begin:cursor] + typed, FILE[cursor:end])


@pytest.mark.parametrize("begin", [0, 7, 400, 431])
@pytest.mark.parametrize("end", [len(FILE), len(FILE) - 9, 2600, 2643])
def test_what_stands_above_and_below_is_added(begin, end):
    window = part(begin, 1500, end, "typed")
    whole = window.within(FILE)
    assert whole.prefix == FILE[:1500] + "typed"
    assert whole.suffix == FILE[1500:]
    assert whole.line == FILE[:1500].count("\n") + 1


def test_a_text_that_stands_nowhere_or_twice_is_left_as_it_is():
    window = Window("import os\nimport sys\nimport abc\n", "\nprint('other')\nprint('text')\n")
    assert window.within(FILE) == window
    assert part(400, 1500, 2600).within(FILE + FILE) == part(400, 1500, 2600)
    assert Window("", "").within(FILE) == Window("", "")
    assert Window("x", "y").within("") == Window("x", "y")


def test_line_ends_of_the_buffer_count():
    window = part(400, 1500, 2600)
    crlf = Window(window.prefix.replace("\n", "\r\n"), window.suffix.replace("\n", "\r\n"))
    assert crlf.within(FILE).prefix == FILE[:1500].replace("\n", "\r\n")
    assert window.within(FILE.replace("\n", "\r\n")).suffix == FILE[1500:]


def test_the_position_counts_characters():
    assert (Window("a\nbé𝒳", "").line, Window("a\nbé𝒳", "").column) == (2, 4)
    assert (Window("", "x").line, Window("", "x").column) == (1, 1)


def test_near_lines_leave_out_the_cursors_own_and_short_ones():
    window = Window("first line of it\n}\nhalf a li", "ne typed\nlast line of it\n")
    assert window.near_lines() == ["first line of it", "last line of it"]
    assert same_lines(window.near_lines(), "  first line of it  \nother\n") == 0.5


@given(st.text(alphabet="ab \n", max_size=80), st.data())
def test_no_part_of_a_text_changes_what_is_there(text, data):
    cuts = sorted(data.draw(st.integers(0, len(text))) for _ in range(3))
    window = Window(text[cuts[0] : cuts[1]], text[cuts[1] : cuts[2]])
    whole = window.within(text)
    assert whole.prefix.endswith(window.prefix) and whole.suffix.startswith(window.suffix)
    assert whole.prefix + whole.suffix in (
        text,
        *(text[a:b] for a in range(len(text) + 1) for b in range(a, len(text) + 1)),
    )
