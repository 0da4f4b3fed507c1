"""A location is parsed exactly, or refused in one line that names the last valid position."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.prompt.location import (
    Location,
    cut_document,
    parse_location,
    read_file,
)
from git_copilot.index.core.errors import LocationError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.py:3", Location("a.py", 3)),
        ("a.py:3:7", Location("a.py", 3, 7)),
        ("dir/a b.py:10", Location("dir/a b.py", 10)),
        ("odd:name.py:2:1", Location("odd:name.py", 2, 1)),
    ],
)
def test_locations_are_parsed(text, wanted):
    assert parse_location(text) == wanted


@pytest.mark.parametrize("text", ["a.py", "a.py:", "a.py:x", ":3", "a.py:0", "a.py:3:0", "a.py:-1"])
def test_malformed_locations_are_refused(text):
    with pytest.raises(LocationError):
        parse_location(text)


def test_column_defaults_to_the_end_and_counts_characters():
    data = "héllo wörld\nnext\n".encode()
    end = cut_document(data, Location("f", 1))
    assert (end.prefix, end.suffix, end.column) == ("héllo wörld", "\nnext\n", 12)
    middle = cut_document(data, Location("f", 1, 3))
    assert (middle.prefix, middle.suffix, middle.offset) == ("hé", "llo wörld\nnext\n", 3)


def test_the_line_after_the_last_newline_is_a_place():
    assert cut_document(b"a\nb\n", Location("f", 3)).prefix == "a\nb\n"
    assert cut_document(b"", Location("f", 1)).column == 1


def test_a_position_past_the_end_names_the_last_one():
    with pytest.raises(LocationError, match=r"has 2 lines.*f:2"):
        cut_document(b"a\nb", Location("f", 3))
    with pytest.raises(LocationError, match=r"no column 5.*last column is 2"):
        cut_document(b"a\nb", Location("f", 1, 5))


def test_crlf_is_read_as_newline_and_remembered():
    document = cut_document(b"a\r\nbc\r\n", Location("f", 2))
    assert (document.prefix, document.suffix, document.newline) == ("a\nbc", "\n", "\r\n")
    assert document.offset == 5


def test_a_byte_order_mark_is_not_a_column():
    document = cut_document(b"\xef\xbb\xbfab\n", Location("f", 1, 2))
    assert (document.prefix, document.suffix, document.offset) == ("a", "b\n", 4)


def test_latin1_is_read_byte_for_byte():
    document = cut_document(b"caf\xe9 = 1\n", Location("f", 1, 5))
    assert (document.prefix, document.encoding) == ("café", "latin-1")


def test_a_stray_byte_changes_no_other_letter_and_no_column():
    head = "# größe für Łódź\n".encode()
    data = head + "x = 'é".encode() + b"\xff\xe9" + "ü' + 1\n".encode()
    document = cut_document(data, Location("f", 2, 10))
    assert document.prefix == "# größe für Łódź\nx = 'é\ufffd\ufffdü"
    assert (document.suffix, document.encoding) == ("' + 1\n", "utf-8")
    assert document.offset == len(head) + len("x = 'éü".encode()) + 2
    with pytest.raises(LocationError, match="has 14 characters"):
        cut_document(data, Location("f", 2, 16))


def test_windows_code_page_is_read_character_for_character():
    document = cut_document("s = “größe” + €\n".encode("cp1252"), Location("f", 1, 12))
    assert (document.prefix, document.suffix) == ("s = “größe”", " + €\n")
    assert (document.encoding, document.offset) == ("cp1252", 11)


def test_a_huge_file_is_cut_to_a_window_of_whole_lines():
    line = b"x" * 99 + b"\n"
    document = cut_document(line * 500_000, Location("f", 250_000, 3))
    assert document.offset == 249_999 * 100 + 2
    assert document.prefix.endswith("x" * 99 + "\nxx")
    assert (
        set(document.prefix.split("\n")[0]) == {"x"} and len(document.prefix.split("\n")[0]) == 99
    )
    assert len(document.prefix) < 300_000 and len(document.suffix) < 300_000


def test_unreadable_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(LocationError, match="does not exist"):
        read_file(tmp_path, "none.py", "none.py")
    with pytest.raises(LocationError, match="folder"):
        read_file(tmp_path.parent, tmp_path.name, "it")
    (tmp_path / "b").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(LocationError, match="binary"):
        read_file(tmp_path, "b", "b")


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=8),
        min_size=1,
        max_size=6,
    ),
    st.data(),
)
def test_prefix_plus_suffix_is_the_file(lines, data):
    text = "\n".join(lines)
    raw = text.encode()
    line = data.draw(st.integers(1, len(lines)))
    start = 3 if raw.startswith(b"\xef\xbb\xbf") else 0
    width = len(lines[line - 1]) - (1 if line == 1 and start else 0)
    column = data.draw(st.integers(1, width + 1))
    document = cut_document(raw, Location("f", line, column))
    assert document.prefix + document.suffix == raw[start:].decode()
    assert raw[: document.offset].decode()[1 if start else 0 :] == document.prefix
