"""Chunks cover a blob in order, along its syntax."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.index.text.chunking import MAX_CHUNK_BYTES, MAX_CHUNK_LINES, chunk_blob
from git_copilot.index.text.named_values import VALUE_KINDS
from git_copilot.index.text.parsing import parse

PYTHON = b'''"""Module."""
import os


class Greeter:
    """Greets."""

    def __init__(self, name):
        self.name = name

    # how loud
    @property
    def volume(self):
        return 11


def helper(a,
           b):
    return a + b
'''


def names(data, language="python"):
    return [s.name for c in chunk_blob(data, language) for s in c.symbols]


def test_every_definition_is_a_symbol_with_its_line():
    symbols = [s for c in chunk_blob(PYTHON, "python") for s in c.symbols]
    assert [(s.name, s.kind, s.line) for s in symbols] == [
        ("Greeter", "class", 5),
        ("__init__", "function", 8),
        ("volume", "function", 13),
        ("helper", "function", 17),
    ]
    assert symbols[-1].signature == "def helper(a, b):"


def test_a_small_file_is_one_chunk():
    (chunk,) = chunk_blob(PYTHON, "python")
    assert (chunk.start_line, chunk.end_line) == (1, 19)
    assert chunk.text == PYTHON.decode()


def test_a_large_file_is_split_before_definitions():
    body = b"".join(
        b"def f%d(x):\n" % i
        + b"    x = x * 31 + 7  # padding of the body\n" * 12
        + b"    return x\n\n\n"
        for i in range(5)
    )
    chunks = chunk_blob(body, "python")
    assert [c.name for c in chunks] == ["f0", "f1", "f2", "f3", "f4"]
    assert all(c.text.startswith(f"def f{i}") for i, c in enumerate(chunks))


def test_comments_and_decorators_stay_with_their_definition():
    filler = b"    y = 1  # something to fill the body of it all\n" * 15
    source = b"def a():\n" + filler + b"\n# about b\n@deco\ndef b():\n" + filler
    assert chunk_blob(source, "python")[-1].text.startswith("# about b\n@deco\ndef b")


@pytest.mark.parametrize(
    ("language", "source", "wanted"),
    [
        ("javascript", b"class A { run() {} }\nfunction go(x) { return x }\n", ["A", "run", "go"]),
        ("go", b"package p\nfunc Do(x int) int { return x }\ntype T struct {}\n", ["Do", "T"]),
        ("rust", b"fn add(a: i32) -> i32 { a }\nstruct P { x: i32 }\n", ["add", "P"]),
        ("c", b"static int f(int a)\n{\n  return a;\n}\n", ["f"]),
        ("java", b"class A { int f(int x) { return x; } }\n", ["A", "f"]),
    ],
)
def test_definitions_of_other_languages_are_found(language, source, wanted):
    assert names(source, language) == wanted


def test_plain_text_is_cut_into_windows_within_the_limit():
    chunks = chunk_blob(b"some words on a line\n" * 500, "text")
    assert all(c.kind == "window" for c in chunks)
    assert all(len(c.text) <= MAX_CHUNK_BYTES for c in chunks)
    assert chunks[-1].end_line == 500


def test_deeply_nested_code_does_not_overflow():
    source = b"x = " + b"(" * 3000 + b"1" + b")" * 3000 + b"\n" + b"y = 1\n" * 200
    assert chunk_blob(source, "python")[-1].end_line == 201


LINES = st.lists(
    st.sampled_from(
        [
            b"def f(x):", b"    return x", b"class A:", b"    def m(self):", b"        pass", b"",
            b"# comment", b"x = [", b"]", b"'''", b"\xff\xfe", "é = 'ü'".encode(), b"\t\tif x:",
            b"@deco", b"if True:", b"else:", b"y = 1  # " + b"long " * 60,
        ]
    ),
    max_size=150,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(LINES, st.booleans(), st.sampled_from(["python", "javascript", "text"]))
def test_chunks_cover_every_line_with_text_once_and_in_order(lines, newline, language):
    data = b"\n".join(lines) + (b"\n" if newline else b"")
    chunks = chunk_blob(data, language)
    covered = []
    for chunk in chunks:
        assert data[chunk.start_byte : chunk.end_byte].decode("utf-8", "replace") == chunk.text
        assert chunk.end_line - chunk.start_line < MAX_CHUNK_LINES
        covered.extend(range(chunk.start_line, chunk.end_line + 1))
    assert covered == sorted(set(covered))
    for number, line in enumerate(data.split(b"\n"), 1):
        assert not line.strip() or number in covered


NESTED = b'''"""Module."""


class Outer(Base,
            metaclass=Meta):
    """What it is.

    And more."""
''' + b"".join(
    b'''
    # says %d
    @deco
    def m%d(self, a,
            b=1):
        r"""Doc of m%d."""
        return a * b + 1_000_000_000_000_000_000
'''
    % (i, i, i)
    for i in range(12)
)


def test_chunks_inside_a_class_carry_its_header():
    first, *rest = chunk_blob(NESTED, "python")
    assert first.scope == "" and rest
    assert {chunk.scope for chunk in rest} == {"class Outer(Base, metaclass=Meta):"}
    body = b"class A:\n    def long(self):\n" + b"        step_number = compute(1)\n" * 90
    tail = {c.scope for c in chunk_blob(body, "python")[1:]}
    assert tail == {"class A:\ndef long(self):"}


def test_a_symbol_has_its_parameters_scope_and_docstring_summary():
    outer, *methods = [s for c in chunk_blob(NESTED, "python") for s in c.symbols]
    assert (outer.signature, outer.doc, outer.scope) == (
        "class Outer(Base, metaclass=Meta):", "What it is.", "",
    )  # fmt: skip
    assert [(m.name, m.signature, m.scope, m.doc) for m in methods] == [
        (f"m{i}", f"def m{i}(self, a, b=1):", "Outer", f"Doc of m{i}.") for i in range(12)
    ]


@pytest.mark.parametrize(
    ("language", "source", "wanted"),
    [
        ("go", b"package p\n// Do does.\n// More.\nfunc Do(x int,\n y int) int { return x }\n",
         ("func Do(x int, y int) int", "Do does.")),
        ("javascript", b"/** Runs.\n * On. */\nfunction go(x) { return x }\n",
         ("function go(x)", "Runs.")),
        ("rust", b"/// Adds.\nfn add(a: i32) -> i32 { a }\n", ("fn add(a: i32) -> i32", "Adds.")),
        ("c", b"/* adds */\nstatic int f(int a)\n{\n  return a;\n}\n",
         ("static int f(int a)", "adds")),
        ("python", b"# above\n@deco\ndef f(): return 1\n", ("def f():", "above")),
        ("python", b"x = 1  # not of f\n\n\ndef f():\n    return 1\n", ("def f():", "")),
    ],
)  # fmt: skip
def test_headers_and_comments_of_other_languages_are_found(language, source, wanted):
    found = [s for c in chunk_blob(source, language) for s in c.symbols]
    (symbol,) = [s for s in found if s.kind not in VALUE_KINDS]
    assert (symbol.signature, symbol.doc) == wanted


def test_a_hidden_line_is_in_no_header_and_no_docstring():
    hidden = frozenset({NESTED.split(b"\n").index(b"            metaclass=Meta):") + 1})
    chunks = chunk_blob(NESTED, "python", hidden)
    assert not any("Meta" in c.scope + c.text for c in chunks)
    assert "Outer" not in {s.name for c in chunks for s in c.symbols}
    docs = [s.doc for c in chunk_blob(NESTED, "python", frozenset({6})) for s in c.symbols]
    assert docs[0] == "And more."


def test_no_statement_within_the_limit_is_split():
    """On Python's own library: a boundary is within a statement only if that is too large."""
    kinds = ("expression_statement", "return_statement", "assert_statement", "raise_statement",
             "import_from_statement", "delete_statement")  # fmt: skip
    for name in ("argparse", "textwrap", "dataclasses", "tarfile", "inspect", "typing"):
        data = (Path(sysconfig.get_paths()["stdlib"]) / f"{name}.py").read_bytes()
        starts = {c.start_line for c in chunk_blob(data, "python")}
        pending = [parse(data, "python")]
        while pending:
            node = pending.pop()
            pending.extend(node.children)
            first, last = node.start_point.row + 1, node.end_point.row + 1
            small = last - first < MAX_CHUNK_LINES and node.end_byte - node.start_byte < 900
            if node.type in kinds and small:
                assert starts.isdisjoint(range(first + 1, last + 1)), (name, first, last)
