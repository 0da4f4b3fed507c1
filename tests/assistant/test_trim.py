"""A completion ends where a person would end it, and early stopping agrees with the cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.trim import Trimmer

AWS = "AKIA" + "Q7ZL2M4N8P3R5T6V"
BEGIN = "-----BEGIN RSA PRIVATE " + "KEY-----"


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "wanted", "rule"),
    [
        ("x = ", "\n", "1\ny = 2\n", "1", "after_line"),
        ("x = ", "\n", "1", "1", None),
        ("call(", "\n", "\n    a,\n    b,\n)\nnext()\n", "\n    a,\n    b,\n)", "after_line"),
        ("call(", ")\n", "a, b)\nmore\n", "a, b", "after_line"),
        ("x = [", "]  # end\n", "1, 2]  # end", "1, 2", "repeats_rest"),
        ("f(g(", "))\n", "x", "x", None),
        ("def f():\n", "", "    return 1\n\n\ndef g():\n", "    return 1", "after_block"),
        ("def f():", "\n", "\n    a = 1\n    return a\nprint(1)\n", "\n    a = 1\n    return a", "after_block"),
        ("def f():\n    ", "\n", "a = 1\n    return a\nx\n", "a = 1\n    return a", "after_block"),
        ("", "\n", "if a:\n    b()\nelse:\n    c()\nd()\n", "if a:\n    b()\nelse:\n    c()", "after_block"),
        ("def f():\n    ", "\n    return total\n", "total = 1\n    return total\n", "total = 1", "repeats_suffix"),
        ("if x:\n    ", "\n", "a()\n    a()\n    a()\n    a()\n", "a()\n    a()", "loops"),
        ("s = ", "\n", '"(" + name\nother\n', '"(" + name', "after_line"),
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
def test_rules(prefix, suffix, text, wanted, rule):
    trimmed = Trimmer(prefix, suffix).trim(text)
    assert (trimmed.text, trimmed.rule) == (wanted, rule)


@pytest.mark.parametrize("block", [("x = ", True), ("def f():\n    ", True), ("call(a, ", True)])
def test_stops_as_soon_as_the_cut_is_certain(block):
    prefix, _ = block
    trimmer = Trimmer(prefix, "\n")
    assert not trimmer.finished("value")
    assert trimmer.finished("value)\nz = 1\n\n\nq\n")


@pytest.mark.parametrize(
    ("path", "wanted"), [("a.yaml", ""), ("a.py", "Tr0ub4dor3"), ("", "Tr0ub4dor3")]
)
def test_the_language_says_how_a_secret_is_written(path, wanted):
    assert Trimmer("password: ", "\n", path=path).trim("Tr0ub4dor3").text == wanted


def test_no_secret_is_waited_for_to_its_end():
    trimmer = Trimmer("def f():\n    ", "\n")
    assert trimmer.finished(f'k = "{AWS}"\n')
    assert not trimmer.finished(f'k = "{AWS}"')


LINES = st.lists(
    st.sampled_from(
        [
            f'k = "{AWS}"',
            "a = 1",
            "    return x",
            "",
            "if a:",
            "  )",
            "(",
            "def f(",
            "}",
            "x" * 9,
            "'(",
        ]
    ),
    max_size=12,
)


@given(
    LINES,
    st.sampled_from(["", "x = ", "def f():\n    ", "f(", "if a:"]),
    st.sampled_from(["", "\n", ")\n", "\n    return x\n"]),
)
def test_the_result_is_a_start_of_the_text_and_early_stopping_loses_nothing(lines, prefix, suffix):
    text = "\n".join(lines)
    trimmer = Trimmer(prefix, suffix)
    kept = trimmer.trim(text).text
    assert text.startswith(kept)
    for size in range(len(text) + 1):
        if trimmer.finished(text[:size]):
            early = trimmer.trim(text[:size]).text
            assert early == kept or early.rstrip() == kept.rstrip()
            break
