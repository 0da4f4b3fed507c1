"""A byte that is not UTF-8 costs one character; Latin-1 and Windows files are decoded as such."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.text.classify import to_utf8
from git_copilot.index.text.encodings import encoding_of, exact_bytes, exact_text, readable_text

LETTERS = "# größe für Łódź, 名前\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "utf-8"),
        (b"plain = 1\n", "utf-8"),
        (LETTERS.encode(), "utf-8"),
        (LETTERS.encode() + b"caf\xe9\n", "utf-8"),
        (b"\xe9\n" + LETTERS.encode() + b"\xff\x80\n", "utf-8"),
        (b"\xef\xbb\xbfa = '\xe9\xe8'\n", "utf-8"),
        ("# größe für alle\n".encode("latin-1"), "latin-1"),
        ("# Ça coûte cher, déjà vu\n".encode("latin-1"), "latin-1"),
        ("# “größe” – 3 €\n".encode("cp1252"), "cp1252"),
        (b"undefined there: \x81 \x9d\n", "latin-1"),
    ],
)
def test_the_encoding_is_detected_from_the_majority_of_bytes(data, encoding):
    assert encoding_of(data) == encoding
    assert exact_bytes(exact_text(data, encoding), encoding) == data


def test_a_stray_byte_changes_no_other_character():
    data = LETTERS.encode() + b"name = 'caf\xe9'\n" + LETTERS.encode()
    assert to_utf8(data).decode() == f"{LETTERS}name = 'caf\ufffd'\n{LETTERS}"


def test_windows_quotes_are_indexed_as_quotes():
    text = "s = “größe”\n"
    assert to_utf8(text.encode("cp1252")).decode() == text


@given(
    st.lists(st.sampled_from(["é".encode(), b"a", "名".encode(), b"\xe9", b"\x80", b"\xe5\x90"]))
)
def test_decoding_gives_one_character_per_stray_byte(parts):
    data = b"".join(parts)
    encoding = encoding_of(data)
    exact, shown = exact_text(data, encoding), readable_text(data, encoding)
    assert exact_bytes(exact, encoding) == data
    assert len(shown) == len(exact)
    shown.encode("utf-8")  # no surrogate is left
