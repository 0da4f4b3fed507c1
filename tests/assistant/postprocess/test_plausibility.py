"""What a parser and tables of names know to be wrong with a completion."""

from __future__ import annotations

import pytest

from git_copilot.assistant.postprocess.bindings import binds
from git_copilot.assistant.postprocess.plausibility import Names, Plausibility

FILE = (
    "import os\nfrom json import loads as read\n\n\ndef area(width, height=1):\n"
    "    total = width * height\n"
)
KNOWN = {"startswith", "isfile", "elsewhere", "helper"}


def faults(line, text, below="", *, above=FILE, path="a.py"):
    known = lambda names: {name for name in names if name in KNOWN}
    return Plausibility(
        above + line, f"\n{below}", path, Names(known, lambda names: set(names) & {"helper"})
    ).faults(text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("    return ", "total"),
        ("    return ", "total.startswith('x')"),
        ("    return os.", "path.isfile(width)"),
        ("    return ", "f'{width}' + r'\\d'"),
        ("    ", "for each in range(width):\n        total += each"),
        ("    return ", "[item for item in range(total)]"),
        ("    ", "with open(width) as file:"),
        ("    ", "if total:"),
        ("    return ", "lambda key: key + width"),
        ("    area(", "height=width)"),
        ("    area(width, ", "height=2"),  # the bracket is open still
        ("    # ", "whatever comes to mind"),
        ("    x = 'some ", "words of a text'"),
        ("    total.", "startswith"),
        ("    return ", "helper(width)"),  # another file of the repository defines it
    ],
)
def test_nothing_is_wrong_with_ordinary_code(line, text):
    assert [x for x in faults(line, text) if x != "open"] == []


@pytest.mark.parametrize(
    ("line", "text", "rule"),
    [
        ("    return ", "totl + 1", "name"),
        ("    return ", "elsewhere", "name"),  # known elsewhere, but not imported here
        ("    return os.", "pth.isfile(width)", "name"),
        ("    return total ", "total", "syntax"),
        ("    return ", "width +", "syntax"),
        ("    total = ", "[", "open"),
        ("    ", "total = width * height", "repeats"),
    ],
)
def test_each_rule_has_its_name(line, text, rule):
    assert rule in faults(line, text)


def test_the_line_below_is_not_written_again():
    assert "repeats" in faults("    ", "return total * 2", below="    return total * 2\n")
    assert "repeats" not in faults("    ", "return total * 3", below="    return total * 2\n")


def test_all_lines_of_an_answer_that_stand_nearby_are_a_repetition():
    above = f"{FILE}    check(width, height)\n    verify(total, width)\n    done = True\n"
    assert "repeats" in faults(
        "    ", "check(width, height)\n    verify(total, width)", above=above
    )
    assert "repeats" not in faults(
        "    ", "check(width, height)\n    verify(width, 1)", above=above
    )


def test_a_key_that_the_literal_has_is_not_written_again():
    above = f"{FILE}    d = {{\n        'one': 1,\n        'two': 2,\n"
    assert "key" in faults("        ", "'one': 3,", "    }\n", above=above)
    assert faults("        ", "'three': 3,", "    }\n", above=above) == ()
    assert "key" in faults("        ", "'four': 3,", "        'four': 4,\n    }\n", above=above)


@pytest.mark.parametrize(
    ("path", "above", "line", "text", "expected"),
    [
        ("a.go", "package a\n\nfunc f(x int) {\n", "\t", "y := x + 1", ()),
        ("a.go", "package a\n\nfunc f(x int) {\n", "\ty := ", "xx + 1", ("name",)),
        ("a.java", "class A {\n", "    ", "int size(String text) { return 1; }", ()),
        ("a.go", "package a\n\nfunc f(x int) {\n", "\ty := ", "x)", ("syntax",)),
    ],
)
def test_other_languages(path, above, line, text, expected):
    known = lambda names: {name for name in names if name in {"int", "String", "size"}}
    assert (
        Plausibility(above + line, "\n}\n", path, Names(known, lambda names: set())).faults(text)
        == expected
    )


@pytest.mark.parametrize(
    ("text", "name", "bound"),
    [
        ("x = 1", "x", True),
        ("x: int = 1", "x", True),
        ("x == 1", "x", False),
        ("a, x = f()", "x", True),
        ("from a import (\n    x,\n    y,\n)", "x", True),
        ("def f(\n    x: int,\n): ...", "x", True),
        ("def f(a, x): ...", "x", True),
        ("for i, x in y: ...", "x", True),
        ("with a as x: ...", "x", True),
        ("if (x := 1): ...", "x", True),
        ("print(x.y)", "x", False),
        ("except E as x:", "x", True),
    ],
)
def test_bindings_of_python(text, name, bound):
    assert binds(text, name) is bound
