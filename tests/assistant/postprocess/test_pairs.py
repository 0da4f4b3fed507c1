"""Pairs that an editor has closed: what is open on the cursor's line, and what fits inside."""

from __future__ import annotations

import pytest

from git_copilot.assistant.postprocess.pairs import OpenPairs, closers_behind

PLACES = [
    ("x = f(", "a.py", ")"),
    ("x = f(g[", "a.py", "])"),
    ('x = f("', "a.py", '")'),
    ("x = f('", "a.py", "')"),
    ('x = f(f"{', "a.py", '}")'),
    ('"""', "a.py", '"""'),
    ("f(a)", "a.py", ""),
    ("f(\n    g(", "a.py", ")"),
    ("f(\n    a", "a.py", ""),
    ("# f(", "a.py", ""),
    ("const a = `${", "a.ts", "}`"),
    ("fn f(x: &'a str) { g(", "a.rs", ")}"),
    ("if x == '(' and f(", "a.py", ")"),
    ("f(')', ", "a.py", ")"),
]


@pytest.mark.parametrize(("prefix", "path", "closers"), PLACES)
def test_closers_of_what_was_opened_on_the_line(prefix, path, closers):
    assert OpenPairs(prefix, path).closers == closers


@pytest.mark.parametrize(
    ("prefix", "suffix", "closers"),
    [
        ("x = f(", ")\ny = 1\n", ")"),
        ("x = f(", ")  \n", ")"),
        ("d = {'a': [", "]}", "]}"),
        ("f(g(", ")\n", ")"),  # an outer pair that nobody closed
        ("f(", "):\n    pass\n", ")"),
        ("f(", ");\n", ")"),
        ("f(", ").read()\n", ""),  # more than an editor inserts
        ("f(", ", b)\n", ""),
        ("f(", "]\n", ""),
        ("f(\n    ", ")\n", ""),  # opened on another line
        ("x = 1", "\n)\n", ""),
        ("x = ", "", ""),
    ],
)
def test_only_what_an_editor_inserts_is_taken_for_closers(prefix, suffix, closers):
    assert closers_behind(prefix, suffix, "a.py") == closers


@pytest.mark.parametrize(
    ("prefix", "text", "inside"),
    [
        ("f(", "a, b)", "a, b"),
        ("f(", "g(a), [b])\nx = 1", "g(a), [b]"),
        ("f(", "a, b", "a, b"),
        ("f(", ")", ""),
        ("f(", "\n    a,\n    b,\n)", "\n    a,\n    b,\n"),
        ('f("', 'name", 1)', "name"),
        ('f("', "it's (odd", "it's (odd"),
        ("f(", "')', a)", "')', a"),
        ("x[", "i][j]", "i"),
    ],
)
def test_a_text_ends_before_the_closer_of_the_pair(prefix, text, inside):
    assert OpenPairs(prefix, "a.py").inside(text) == inside


@pytest.mark.parametrize(
    ("prefix", "prose"),
    [("# a", True), ('"""\nText ', True), ('x = "a', False), ("x = f(", False)],
)
def test_prose_is_a_comment_or_a_string_of_another_line(prefix, prose):
    assert OpenPairs(prefix, "a.py").in_prose is prose
