"""Foreign text cannot command a terminal, hide, or reorder what is read."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.core.escaping import printable, quote_path
from tests.support.gitrepo import GitRepo

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def test_every_control_and_format_character_is_escaped():
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in UNSEEN:
            assert printable(chr(code)).isascii(), hex(code)
            assert not set(printable(chr(code))) & {"\x1b", "\n"}


@pytest.mark.parametrize("code", [0x34F, 0x115F, 0x1160, 0x3164, 0xFFA0, 0xFE00, 0xE0001, 0xE0100])
def test_invisible_letters_are_escaped(code):
    assert printable(f"a{chr(code)}b") == f"a<U+{code:04X}>b"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[31m\x07\x7f", "^[[31m^G^?"),
        ("\x9b2J", "<U+009B>2J"),
        ("caf\udce9", "caf<E9>"),
        ("\u202etxt", "<U+202E>txt"),
        ("a\tb\n", "a^Ib^J"),
    ],
)
def test_control_characters_are_spelt_as_less_does(text, told):
    assert printable(text) == told


@pytest.mark.parametrize(
    "text", ["é漢字", "❤️ 1️⃣ 👍🏽", "עברית العربية", "naïve — “quoted”", "\ue0b0"]
)
def test_ordinary_text_is_unchanged(text):
    assert printable(text) == text


def test_runs_of_variation_selectors_are_escaped():
    assert printable("❤\ufe0f\ufe0f") == "❤\ufe0f<U+FE0F>"


@given(st.text())
def test_only_the_characters_given_as_keep_are_kept(text):
    told = printable(text, keep="\n\t")
    left = {c for c in told if unicodedata.category(c) in UNSEEN}
    assert left <= {"\n", "\t"}
    assert printable(told, keep="\n\t") == told


NAMES = [
    b"new\nline.py", b"tab\there.py", b'quote".py', b"back\\slash.py", b"ev\x1b[31mil.py",
    b"ti\x1b]0;OWNED\x07tle.py", b"cr\rover.py", b"bad\xff\xfe.py", b"a b.py", b"x.py:12",
    "ünï.py".encode(), b"\x01\x0b\x0c\x08\x7f",
]  # fmt: skip


def test_names_are_quoted_as_git_quotes_them(tmp_path):
    """Bytes that are no UTF-8 git leaves as they are with ``core.quotePath=false``."""
    repo = GitRepo.init(tmp_path)
    for name in NAMES:
        (tmp_path / name.decode("utf-8", "surrogateescape")).write_bytes(b"x\n")
    repo.git("add", "-A")
    listed = repo.git("-c", "core.quotePath=false", "ls-files").splitlines()
    ours = sorted(quote_path(name.decode("utf-8", "surrogateescape")) for name in NAMES)
    assert ours == sorted(r'"bad\377\376.py"' if "bad" in name else name for name in listed)


def test_a_name_with_a_hidden_character_is_quoted_too():
    assert quote_path("\u202etxt.py") == r'"\342\200\256txt.py"'
    assert quote_path("plain.py") == "plain.py"
