"""Texts that nobody writes cost the rules little: they run in the one thread that answers."""

from __future__ import annotations

import time

import pytest

from git_copilot.assistant.postprocess import syntax
from git_copilot.assistant.postprocess.bindings import binds
from git_copilot.assistant.postprocess.bracket_balance import (
    MAX_CHARACTERS,
    MAX_LINE,
    MAX_TOKENS,
    BracketBalance,
    frames_above,
)
from git_copilot.assistant.postprocess.indentation import Indentation
from git_copilot.assistant.postprocess.language_notation import notation_of
from git_copilot.assistant.postprocess.lexer import MAX_DEPTH, Lexer
from git_copilot.assistant.postprocess.pairs import ClosedPairs, OpenPairs
from git_copilot.assistant.postprocess.plausibility import Names, Plausibility
from git_copilot.assistant.postprocess.syntax import Surroundings
from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.assistant.prompt.accessed_names import accessed
from git_copilot.assistant.prompt.builder import MAX_TOKEN_CHARACTERS, Budget, build_prompt
from git_copilot.assistant.prompt.cursor_query import MAX_LINE as QUERY_LINE
from git_copilot.assistant.prompt.cursor_query import cursor_query, edited_file
from git_copilot.index.secrets.scan import context_above

# All rules at one place take up to half a second, and longer on a busy machine. One whose work grows
# with the square of the text takes minutes.
SECONDS = 4.0
SIZE = 200_000
BUDGET = Budget(1000, 300, 300)
TEXT = "foo(bar, baz)\n\tif thing.value:\n        return other[1]"


def repeated(piece, size=SIZE):
    return piece * (size // len(piece))


SHAPES = {
    "word": "a" * SIZE,
    "spaces": " " * SIZE,
    "indentation": " " * SIZE + "x",
    "tabs": "\t" * SIZE,
    "openers": "(" * SIZE,
    "closers": ")" * SIZE,
    "two openers": repeated("[{"),
    "quotes": repeated("'\"`"),
    "equal quotes": '"' * SIZE,
    "backslashes": "\\" * SIZE,
    "minified": repeated("k12:1,"),
    "attributes": repeated("a."),
    "strings in strings": repeated('f"{'),
    "blank lines": "\n" * SIZE,
    "short lines": repeated("foo.\n"),
    "one CR": "x\r" + "y" * SIZE,
    "words": repeated("for "),
    "annotations": repeated("self.a:"),
    "key markers": repeated("BEGIN "),
    "classes": repeated("class A(\n"),
    "imports": repeated("from x import (\n"),
    "functions": repeated("def f("),
    "here-documents": repeated("<<A\n"),
    "patterns": repeated("=/["),
    "a docstring": 'def f():\n    """' + "a" * SIZE,
    "deep lines": " " * 40_000 + "x = 1\n" + " " * 40_000,
}


def run_all(prefix, suffix, path):
    """Every rule that a completion at one place passes."""
    trimmer = Trimmer(prefix, suffix, path=path)
    trimmer.finished(TEXT)
    trimmer.trim(TEXT, "length")
    Trimmer(prefix, suffix, path=path, left_to_right=True).trim(TEXT)
    Plausibility(prefix, suffix, path, Names(set, lambda names: set())).faults("foo(bar, x)")
    Indentation(prefix, suffix, path).apply(TEXT)
    ClosedPairs(prefix, suffix, path).inside(TEXT)
    cursor_query(edited_file(path, prefix, suffix, BUDGET), "python")
    for line in ("", "\n    self.", "\nos.path."):
        accessed(prefix + line, suffix, path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", ["a.py", "a.js", "a.ts", "a.txt", "a.sh"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_rules_take_no_longer_than_for_code(shape, path):
    text = SHAPES[shape]
    for prefix, suffix in (
        ("import os\n" + text, "\nfoo\n"),
        ("x = ", text),
        ("import os\n" + text + "\nx = foo.", "\n" + text + "\n"),
    ):
        begun = time.thread_time()
        run_all(prefix, suffix, path)
        assert time.thread_time() - begun < SECONDS


@pytest.mark.parametrize("path", ["a.py", "a.js", "a.txt"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_stands_far_from_the_cursor_on_its_line_changes_nothing(shape, path):
    """Where the line is long, the rules see its end only."""
    line = SHAPES[shape].replace("\n", " ")
    results = [
        BracketBalance(cut, "\n", path).cut("foo(bar)) + [1")
        for cut in (line, "x" + line[-MAX_LINE:])
    ]
    assert results[0] == results[1]
    assert OpenPairs(line, path).closers == ""


def test_a_stack_of_frames_has_a_greatest_depth():
    marks = list(Lexer(notation_of("a.py")).marks("(" * SIZE, ()))
    assert len(marks) == MAX_DEPTH + 1
    assert frames_above(notation_of("a.py"), "x = [\n" + "(" * SIZE) == ()


@pytest.mark.parametrize("piece", ["(", "[{", "'\"`", "()", "[]\n ", '"a"'])
def test_the_text_behind_the_cursor_is_read_up_to_a_number_of_tokens(piece):
    text = repeated(piece)
    tokens = sum(char in "()[]{}\"'`" for char in piece)
    size = min(MAX_TOKENS * len(piece) // tokens + len(piece), MAX_CHARACTERS)
    cut = BracketBalance("x = ", text[:size] + " " * MAX_CHARACTERS, "a.py")
    whole = BracketBalance("x = ", text, "a.py")
    for written in ("foo(", "foo)", "foo()"):
        assert whole.fits(written) == cut.fits(written)


def test_python_is_not_asked_about_more_levels_than_it_has():
    assert not Surroundings(" " * 250_000 + "x", "\n", "evil.py").whole
    assert Surroundings(" " * 40 + "x = 1", "\n", "good.py").whole


def test_a_query_has_the_words_next_to_the_cursor():
    line = ",".join(f"k{number}:1" for number in range(30_000))
    query = cursor_query(edited_file("a.js", line, "\n" + line, BUDGET), "javascript")
    assert len(query.text) <= 2 * QUERY_LINE + 2
    assert "k29999" in query.names
    assert "k10000" not in query.words
    assert len(query.names) < QUERY_LINE / 2


class CountingTokenizer:
    """A token is a character. It counts those that it reads."""

    fim = None
    begin_ids = ()

    def __init__(self):
        self.read = []

    def encode(self, text):
        self.read.append(len(text))
        return [ord(char) for char in text]

    def decode(self, ids):
        return "".join(map(chr, ids))

    spell = decode


@pytest.mark.parametrize("shape", SHAPES)
def test_no_more_text_is_tokenised_than_a_prompt_can_have(shape):
    tokenizer = CountingTokenizer()
    text = f"a = 1\n{SHAPES[shape]}\nb = "
    build_prompt(
        tokenizer, path="a.py", language="python", prefix=text, suffix="\n", snippets=(),
        budget=BUDGET,
    )  # fmt: skip
    assert max(tokenizer.read) <= BUDGET.prompt * MAX_TOKEN_CHARACTERS


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        repeated("ab:"), repeated("for "), repeated("ab "), repeated("def f("), repeated("ab\n"),
        " " * SIZE, repeated("ab=="), repeated("ab,\n("), repeated("def f(ab)"),
    ],
)  # fmt: skip
def test_a_binding_is_searched_for_in_one_pass(text):
    for name in ("ab", "other"):
        binds(text, name)
        binds(text + " ab", name)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("ab = 1", True), ("ab: int = 1", True), ("if (ab := 1):", True), ("ab == 1", False),
        ("x = ab", False), ("ab += 1", False), ("for x, ab in y:", True), ("(x, ab) = y", True),
        ("import x.ab", True), ("def f(\n    x=(1),\n    ab\n):", True), ("f(x)\ng(ab.x)", False),
        ("def f(x, ab=1): pass", True), ("def f(x): ab()", True), ("    **ab,", True),
        ("x[ab] = 1", True), ("x.ab == y", False), ("{ab: 1}", False), ("abc = 1", False),
        ("def f(x):\n    g(ab.x)", False), ("x = {1: ab == z}", False),
    ],
)  # fmt: skip
def test_what_binds_a_name(text, bound):
    assert binds(text, "ab") == bound


def test_a_key_far_above_the_cursor_begins_its_context():
    above = ["-----BEGIN RSA PRIVATE KEY-----", *["MIIEow"] * 50]
    assert context_above("\n".join([*["x"] * 30, *above, ""])) == above


@pytest.mark.parametrize(
    ("above", "line", "members"),
    [
        ("import os\n\n\n", "os.pa", ("os",)),
        ("\n\nimport os.path as way\n", "way.", ("os.path",)),
        ("from a.b import (\n    c,\n    d,\n)\n", "d.x", ("a.b.d",)),
        ("from a import b, c\nfrom d import e\n", "e.", ("d.e",)),
        ("from a import b\nc = 1\n", "c.", None),
    ],
)
def test_imports_are_found_among_blank_lines(above, line, members):
    found = accessed(above + line, "\n", "x.py")
    assert (found.modules if found else None) == members


def test_a_text_of_errors_is_parsed_once(monkeypatch):
    parsed = []
    real = syntax.parse
    monkeypatch.setattr(
        syntax, "parse", lambda data, *rest: parsed.append(data) or real(data, *rest)
    )
    text = repeated("k12:1,", 20_000)
    for written in ("foo(bar)", "foo(baz", "x"):
        assert "syntax" not in Plausibility(text, "\n", "a.js").faults(written)
    assert sum(len(data) > 1000 for data in parsed) == 1
    assert not Surroundings(text, "\n", "a.js").whole
