"""A completion ends where a person would end it; early stopping agrees with trimming."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.assistant.postprocess.trim import Trimmer

AWS = "AKIA" + "Q7ZL2M4N8P3R5T6V"
BEGIN = "-----BEGIN RSA PRIVATE " + "KEY-----"


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "wanted", "rule"),
    [
        ("x = ", "\n", "1\ny = 2\n", "1", "after_line"),
        ("x = ", "\n", "1", "1", None),
        ("call(", "\n", "\n    a,\n    b,\n)\nnext()\n", "\n    a,\n    b,\n)", "after_line"),
        ("call(", ")\n", "a, b)\nmore\n", "a, b", "after_line"),
        ("x = f(a)", "\n", "\ny = g(x)\nz = 1\n\nmore()\n", "\ny = g(x)\nz = 1", "after_line"),
        ("if a:\n    x = f(a)", "\n", "\n    y = 1\nz = 1\n", "\n    y = 1", "after_line"),
        ("def f():\n", "", "    return 1\n\n\ndef g():\n", "    return 1", "after_block"),
        ("def f():\n", "", "    a = 1\n\n    return a\n\n\nf()\n", "    a = 1\n\n    return a", "after_block"),
        ("def f():", "\n", "\n    a = 1\n    return a\nprint(1)\n", "\n    a = 1\n    return a", "after_block"),
        ("def f():\n    ", "\n", "a = 1\n    return a\nx\n", "a = 1\n    return a", "after_block"),
        ("import a\n", "\n", "if a:\n    b()\nelse:\n    c()\nd()\n", "if a:\n    b()\nelse:\n    c()", "after_block"),
        ("void f() {", "\n", "\n  g();\n}\nh();\n", "\n  g();\n}", "after_block"),
        ("if (a) {", "\n", "\n  g();\n} else {\n  h();\n}\ni();\n", "\n  g();\n} else {\n  h();\n}", "after_block"),
        ("def f():\n    ", "\n    return total\n", "total = 1\n    return total\n", "total = 1", "repeats_suffix"),
        ("s = ", "\n", '"(" + name\nother\n', '"(" + name', "after_line"),
    ],
)  # fmt: skip
def test_left_to_right_completions_end_at_the_scope_of_the_cursor(
    prefix, suffix, text, wanted, rule
):
    trimmed = Trimmer(prefix, suffix, path="a.py", left_to_right=True).trim(text)
    assert (trimmed.text, trimmed.rule) == (wanted, rule)


@pytest.mark.parametrize(
    ("prefix", "text", "suffix"),
    [
        ("x = ", "[\n    1,\n]\n\ny = 2", "\nz = 3\n"),
        ("def f(a):\n", "    b = 1\n\n    if a:\n        b = 2\n    return b", "\n\n\ndef g():\n    pass\n"),
        ("if a:\n    b = 1", "\nelse:", "\n    c = 1\n"),
        ("import os\n", "import re\n\n\ndef f():", "\n    return re\n"),
        ("x = fo", "o(a)\ny = bar", "(b)\n"),
        ("f(g(", "x", "))\n"),
        ("f(", "a) + g(", "b)\n"),
        ("x = a", "[0]\nfor y in b", "[1]:\n    pass\n"),
        ("x = [\n", "    0,\n    0,\n    0,\n    0,", "\n]\n"),
        ("def f():\n    x = (\n        a\n    )\n", "    if b:\n        return c", "\n    return d\n"),
        ('def f():\n    """', 'Does.\n\nIt\n    """', "\n    return d\n"),
        ("import a\n", "", "\n"),
        ("x = {", '"a": 1,\n    "b": f(2),\n', "}\n"),
        ("x = ", "[" + "f(item_of_list), " * 4 + "]", "\n"),
        ("NONE = ", '"' + "0" * 64 + '"', "\n"),
        ("f(", "None, " * 10 + "None)", "\n"),
        ("x: ", "tuple[" + "float, " * 8 + "float]", "\n"),
        (f"f({'None, ' * 20}None)\ng(", "None, " * 20 + "None)", "\n"),
        ("g(", "None, " * 20 + "None)", f"\nf({'None, ' * 20}None)\n"),
        ("# ", "=" * 77, "\n"),
    ],
)  # fmt: skip
def test_an_end_chosen_by_a_fim_model_is_kept(prefix, text, suffix):
    trimmer = Trimmer(prefix, suffix, path="a.py")
    assert not trimmer.finished(text + "\n")
    assert trimmer.trim(text, "stop").text.rstrip() == text.rstrip()
    assert trimmer.trim(text, "stop").rule is None


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "wanted", "rule"),
    [
        ("x = [", "]  # end\n", "1, 2]  # end", "1, 2", "repeats_rest"),
        ("x = f(", ")\n", "a, b)", "a, b", "repeats_rest"),
        ("x = [\n", "\n]\n", "    1,\n    2,\n]", "    1,\n    2,", "unbalanced"),
        ("x = f(a", "\n", "))", ")", "breaks_syntax"),
        ("def f():\n", "\n    return a\n\n\nx = 1\n", "    a = 1\n    return a\n\n\nx = 1", "    a = 1", "repeats_suffix"),
        ("def f():\n", "\n    return a\n", "    a = 1\n    return a", "    a = 1", "repeats_suffix"),
        ("def f():\n", "\n    return a\n", "    a = 1\n\n# Example:\nf()", "    a = 1", "leaves_block"),
        ("def f():\n", "\n    return a\n", "\n# Example:\nf()", "", "leaves_block"),
        ('def f(a):\n    """Doc."""\n\n', "\n    return a\n", "\ndef g(a):", "", "leaves_block"),
        ("def f(a):\n    if a:\n        return 1\n", "\n    return a\n", "\ndef f(a):", "", "redefines"),
        ("class A:\n    def f(self):\n        return 1\n", "\n        pass\n", "\nclass B:\n    def f(self):", "\nclass B:\n    def f(self):", None),
        ("def f(a):\n    def g():\n        return 1\n", "\n    return a\n", "\ndef f(a):", "", "redefines"),
        ("x = 1\n", "\ny = 2\n", "def f(:\n", "", "breaks_syntax"),
        ("x = g(\n", "\ny = 2\n", "def f(:\n", "def f(:", None),
        ("if x:\n    ", "\n", "run()\n    run()\n    run()\n    run()\n", "run()", "loops"),
        ("import a\n", "\n", "a = b\nc = d\n" * 3, "a = b\nc = d", "loops"),
        ("args = ", "\n", '"run' + " --file a.json" * 9, '"run --file a.json', "loops"),
        ("x = a", "\n", ".f(b)" * 24 + "\ny = 1", ".f(b)", "loops"),
        ("x = ", "\n", "1" + "0" * 110, "10", "loops"),
        ("x = [\n", "\n]\n", "    1,\n" + "    2, 3," + " 4, 5," * 20, "    1,\n    2,", "loops"),
        ("key = ", "\n", f'"{AWS}"\nx = 1\n', "", "secret"),
        ('key = "', '"\n', AWS, "", "secret"),
        ('password = "', '")\n', "Tr0ub4dor3", "", "secret"),
        ("def f():\n", "", f'    a = 1\n    key = "{AWS}"\n    b = 2\n', "    a = 1", "secret"),
        ('f(password="Tr0ub4dor3", user=', ")\n", '"ada"', '"ada"', None),
        ('password = "Tr0ub4', "\n", 'dor3"\n', "", "secret"),
        ('# pragma: allowlist nextline secret\nkey = ', "\n", f'"{AWS}"', f'"{AWS}"', None),
        (f"{BEGIN}\nMIIEpAIBAAKCAQEA\n", "", "1c7z9z5Pad7Oejec\n", "", "secret"),
        (f"{BEGIN}\nMIIEpAIBAAKCAQEA", "", "1c7z9z5Pad7Oejec", "", "secret"),
    ],
)  # fmt: skip
def test_provably_wrong_text_is_cut(prefix, suffix, text, wanted, rule):
    trimmed = Trimmer(prefix, suffix, path="a.py").trim(text)
    assert (trimmed.text, trimmed.rule) == (wanted, rule)


@pytest.mark.parametrize(
    ("prefix", "text", "wanted"),
    [
        ("key = ", f'"{AWS}"', ""),
        ("key = ", f'"{AWS}"\nx = 1\n', ""),
        ('key = "', f'{AWS}"\nx = 1\n', ""),
        (f'key = "{AWS[:8]}', f'{AWS[8:]}"\n', ""),
        ("def f():\n", f'    a = 1\n    return "{AWS}"\n\n\nf()\n', "    a = 1"),
    ],
)
def test_no_scope_rule_keeps_a_secret(prefix, text, wanted):
    trimmer = Trimmer(prefix, "\n", path="a.py", left_to_right=True)
    assert trimmer.finished(text + "\n")
    trimmed = trimmer.trim(text)
    assert (trimmed.text, trimmed.rule) == (wanted, "secret")


@pytest.mark.parametrize(
    ("prefix", "text", "wanted", "rule"),
    [
        ("x = ", "f(a)\ny = 2\nz = 3 +", "f(a)", "after_line"),
        ("x = ", "f(a,", "f(a,", None),
        ("def f():\n", "    a = 1\n    return a +", "    a = 1", "unfinished"),
        (
            "def f():\n",
            "    a = 1\n\n    return a\n\n\nx",
            "    a = 1\n\n    return a",
            "after_block",
        ),
    ],
)
def test_a_completion_out_of_tokens_is_cut_by_scope(prefix, text, wanted, rule):
    trimmer = Trimmer(prefix, "\n\n\ny = f()\n", path="a.py")
    assert not trimmer.finished(text)  # it may yet end by itself
    trimmed = trimmer.trim(text, "length")
    assert (trimmed.text, trimmed.rule) == (wanted, rule)


def test_without_a_grammar_brackets_decide():
    assert Trimmer("(see ", ")\n", path="a.txt").trim("above)").text == "above"
    assert Trimmer("(see (", "))\n", path="a.txt").trim("above)").text == "above"
    assert Trimmer("f(g(", ")\n", path="a.txt").trim("x)").text == "x)"


def test_repeating_the_suffix_ends_the_generation():
    trimmer = Trimmer("def f():\n", "\n    return ok\n\n\ndef other():\n", path="a.py")
    assert not trimmer.finished("    ok = 1\n    return ok\n")  # one line may be chance
    assert trimmer.finished("    ok = 1\n    return ok\n\n\ndef other():\n")
    trimmer = Trimmer("def f():\n", "\n    return total_of_all\n", path="a.py")
    assert trimmer.finished("    total = 1\n    return total_of_all\n")


def test_overloads_are_not_treated_as_repetition():
    middle = "(\n    a: int,\n    b: str,\n    c: int,\n)"
    suffix = " -> int: ...\n\n\ndef f(\n    a: int,\n    b: str,\n    c: int,\n):\n    pass\n"
    assert Trimmer("@overload\ndef f", suffix, path="a.py").trim(middle).text == middle


@pytest.mark.parametrize("prefix", ["x = ", "def f():\n    ", "call(a, "])
def test_generation_stops_as_soon_as_the_cut_is_certain(prefix):
    trimmer = Trimmer(prefix, "\n", left_to_right=True)
    assert not trimmer.finished("value")
    assert trimmer.finished("value)\nz = 1\n\n\nq\n")


@pytest.mark.parametrize(
    ("path", "wanted"), [("a.yaml", ""), ("a.py", "Tr0ub4dor3"), ("", "Tr0ub4dor3")]
)
def test_secrets_are_recognised_in_the_syntax_of_the_language(path, wanted):
    assert Trimmer("password: ", "\n", path=path).trim("Tr0ub4dor3").text == wanted


def test_generation_stops_before_a_secret_is_complete():
    trimmer = Trimmer("def f():\n    ", "\n")
    assert trimmer.finished(f'k = "{AWS}"\n')
    assert not trimmer.finished(f'k = "{AWS}"')


LINES = st.lists(
    st.sampled_from(
        [
            f'k = "{AWS}"',
            "a = 1",
            "    return x",
            "    total = 2",
            "",
            "if a:",
            "else:",
            "  )",
            "(",
            "def f(",
            "}",
            "x" * 9,
            "x = a" + ", bc" * 26,
            "'(",
            '"""',
        ]
    ),
    max_size=12,
)


@given(
    LINES,
    st.sampled_from(["", "x = ", "def f():\n    ", "f(", "if a:", "class A {", "x = f(a)"]),
    st.sampled_from(["", "\n", ")\n", "\n    return x\n", "\n    total = 2\n    return x\n"]),
    st.sampled_from(["a.py", "a.js", "a.txt"]),
    st.booleans(),
    st.sampled_from(["stop", "length"]),
    st.integers(2, 7),
)
@settings(max_examples=400)
def test_trimming_token_by_token_gives_the_same_result(
    lines, prefix, suffix, path, left_to_right, finish, step
):
    text = "\n".join(lines)

    def trimmer():
        return Trimmer(prefix, suffix, path=path, left_to_right=left_to_right)

    kept = trimmer().trim(text, finish)
    assert text.startswith(kept.text)
    streaming = trimmer()
    for size in range(0, len(text) + 1, step):
        if streaming.finished(text[:size]):
            assert streaming.trim(text[:size], "trimmed") == kept
            break
    assert streaming.trim(text, finish) == kept


@settings(max_examples=300)
@given(LINES, st.sampled_from(["", "def f():\n    "]), st.sampled_from(["\n", "\n    return x\n"]))
def test_trimming_is_idempotent(lines, prefix, suffix):
    trimmer = Trimmer(prefix, suffix, path="a.py")
    once = trimmer.trim("\n".join(lines)).text
    assert trimmer.trim(once).text == once
