"""New lines of a completion get the indentation style of the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.postprocess.indentation import Indentation, style_of

GO = "package s\n\nfunc A() {\n\treturn 1\n}\n\nfunc B(x bool) int {"
PYTHON = "class A:\n    def f(self):\n        pass\n\n    def g(self):"
TABBED = PYTHON.replace("    ", "\t")
SHELL = "f() {\n\tcd x\n\tls\n}\n\ng() {"
SCRIPT = "class A {\n\tf() {\n\t\treturn 1;\n\t}\n\n\tg() {"
MAKE = "all: x\n\tcc x\n\nclean:"


@pytest.mark.parametrize(
    ("text", "style"),
    [
        (GO, "\t"),
        (PYTHON, "    "),
        ("a {\n  b {\n    c\n  }\n}\n", "  "),
        ("def f():\n        pass\n", " " * 8),
        ("a {\n\tb\n    c\n}\n", None),
        ("a\nb\n", None),
        ("", None),
        ("/*\n * text\n */\nint f() {\n\treturn 1;\n}\n", "\t"),  # a comment's stars
        ("f() {\n" + "\tx\n" * 21 + "    aligned\n}\n", "\t"),
    ],
)
def test_the_indentation_style_of_a_file_is_detected(text, style):
    assert style_of(text) == style


@pytest.mark.parametrize(
    ("path", "before", "written", "wanted"),
    [
        ("a.go", GO, "\n    if x {\n        y()\n    }", "\n\tif x {\n\t\ty()\n\t}"),
        ("a.go", GO, "\n  if x {\n    y()\n  }", "\n\tif x {\n\t\ty()\n\t}"),
        (
            "a.go",
            GO,
            "\n        if x {\n                y()\n        }",
            "\n\tif x {\n\t\ty()\n\t}",
        ),
        ("a.go", f"{GO}\n\tif x {{\n\t\t", "y()\n    }\n    z()", "y()\n\t}\n\tz()"),
        ("a.go", f"{GO}\n", "    y()\n    z()", "\ty()\n\tz()"),  # the cursor in column 1
        ("a.js", f"{SCRIPT}\n\n", "        a();\n        b();", "\t\ta();\n\t\tb();"),
        ("a.py", PYTHON, "\n\t\tif x:\n\t\t\ty()", "\n        if x:\n            y()"),
        ("a.py", TABBED, "\n        if x:\n            y()", "\n\t\tif x:\n\t\t\ty()"),
        ("Makefile", MAKE, "\n    rm x\n    rm y", "\n\trm x\n\trm y"),
        ("a.js", SCRIPT, "\n    let a = 1;\n    b();", "\n\t\tlet a = 1;\n\t\tb();"),
    ],
)
def test_new_lines_get_the_indentation_of_the_file(path, before, written, wanted):
    assert Indentation(before, "\n", path).apply(written) == wanted


@pytest.mark.parametrize(
    ("path", "before", "written"),
    [
        ("a.go", GO, "\n\tif x {\n\t\ty()\n\t}"),  # right already
        ("a.go", GO, " // two\tsigns    in a line"),
        ("a.go", GO, "\n\tf(a,\n\t  b)"),  # tabs, then aligned
        ("a.go", f"{GO}\n\tf(", "a,\n                     b)"),  # aligned, not indented
        ("a.go", GO, "\n\tq := `\n    select *\n    from t`"),
        ("a.py", TABBED, '\n\t\t"""Text.\n\n    More.\n    """\n\t\tpass'),
        ("a.py", f'{TABBED}\n\t\t"""Text.\n', "    More.\n    Still"),  # nothing closes it yet
        ("a.py", f"{TABBED}\n\t\tx = '''\n", "    a\n    b"),
        ("a.sh", SHELL, "\n\tcat <<END\n    x\n    y\nEND"),
        ("a.sh", f"{SHELL}\n\tcat <<'END'\n", "    x\n    y"),
        ("a.sh", SHELL, '\n\techo "x\n    y"'),
        ("a.js", SCRIPT, "\n\t\treturn `\n    <b>\n    </b>`;"),
        ("a.js", f"{SCRIPT}\n\t\treturn `", "\n    <b>\n    </b>"),
        ("a.js", SCRIPT, "\n\t\t/* x\n       y */"),
        ("a.html", "<div>\n\t<p>\n\t\tx\n\t</p>\n<pre>", "\n    a\n    b"),
        ("a.go", "package s\n\nfunc B() {", "\n    y()"),  # no line says how
        ("a.go", "func A() {\n\tx()\n    y()\n}\nfunc B() {", "\n    z()"),  # two do
        ("notes.txt", "a\n\tb\n\tc\nd", "\n    e"),  # white space may be the content
        ("a.yaml", "a:\n  b: 1\nc:", "\n\td: 1"),
        ("Makefile", "ifdef X\n  Y = 1\nendif\nall:", "\n\tcc x"),  # a recipe needs its tab
    ],
)
def test_text_that_needs_no_reindentation_is_unchanged(path, before, written):
    assert Indentation(before, "\n", path).apply(written) == written


def test_the_suffix_also_determines_the_style():
    assert (
        Indentation("func B() {", "\n}\n\nfunc A() {\n\tx()\n}\n", "a.go").apply("\n  y()")
        == "\n\ty()"
    )


def test_streaming_line_by_line_gives_the_same_result():
    text = "\n    if x {\n        y()\n    }\n    q := `\n    t`\n    z()"
    whole = Indentation(GO, "\n}\n", "a.go").apply(text)
    growing, seen = Indentation(GO, "\n}\n", "a.go"), []
    finished = growing.until(lambda shown: bool(seen.append(shown)))
    for end in range(len(text) + 1):
        finished(text[:end])
        head, _, last = seen[-1].rpartition("\n")
        assert whole.startswith(head) and text[:end].endswith(last)
    assert seen[-1].rpartition("\n")[0] == whole.rpartition("\n")[0]


@given(st.lists(st.text("ab \t{}:(\"'`#\n", max_size=12), max_size=8).map("\n".join))
def test_only_leading_white_space_of_new_lines_changes(text):
    for path, before in (("a.go", GO), ("a.py", PYTHON), ("a.py", TABBED), ("a.sh", SHELL)):
        changed = Indentation(before, "\n", path).apply(text)
        ours, theirs = changed.split("\n"), text.split("\n")
        assert ours[0] == theirs[0]
        assert [line.lstrip(" \t") for line in ours] == [line.lstrip(" \t") for line in theirs]
