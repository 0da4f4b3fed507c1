"""Documents that follow the changes of a client."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.lsp.documents import DocumentStore, SyncedDocument, server_location
from git_copilot.assistant.lsp.positions import UTF8, UTF16, UTF32, Cursor, count_units, split_lines

PIECES = st.sampled_from(["a", "bc", "é", "😀", "\n", "\r", "\r\n", "\x0c", "\u2028", ""])
TEXTS = st.lists(PIECES, max_size=12).map("".join)


def document(text):
    return SyncedDocument.of("file:///w/a.py", text)


@st.composite
def changes(draw):
    """A text and changes to it: each as two fractions and what is put between them."""
    parts = st.tuples(st.floats(0, 1), st.floats(0, 1), TEXTS)
    return draw(TEXTS), draw(st.lists(parts, max_size=6))


def places(text):
    """Every place of a text that a position can name, with its offset."""
    found, offset = [], 0
    for number, line in enumerate(split_lines(text)):
        found += [(offset + x, Cursor(number, x)) for x in range(len(line.rstrip("\r\n")) + 1)]
        offset += len(line)
    return found


@given(changes(), st.sampled_from([UTF8, UTF16, UTF32]))
def test_changes_have_the_same_effect_as_on_the_whole_text(case, encoding):
    text, edits = case
    doc = document(text)
    for first, second, new in edits:
        known = places(text)
        (begin, start), (stop, end) = sorted(
            known[round(share * (len(known) - 1))] for share in (first, second)
        )
        lines = split_lines(text)
        doc.replace(
            *(
                doc.cursor_at(x.line, count_units(lines[x.line][: x.column], encoding), encoding)
                for x in (start, end)
            ),
            new,
        )
        text = text[:begin] + new + text[stop:]
        assert doc.text == text
        assert doc.lines == split_lines(text)


def test_a_change_touches_the_lines_of_its_range_only():
    doc = document("a\n" * 5000)
    kept = doc.lines[4000]
    doc.replace(Cursor(10, 0), Cursor(12, 1), "x\ny")
    assert doc.lines[9:13] == ["a\n", "x\n", "y\n", "a\n"] and doc.lines[3999] is kept


def test_a_position_outside_of_the_text_is_the_nearest_place():
    doc = document("ab\ncd")
    assert doc.cursor_at(9, 9, UTF16) == Cursor(1, 2)
    assert doc.cursor_at(0, 9, UTF16) == Cursor(0, 2)
    assert doc.cursor_at(-1, 3, UTF16) == Cursor(0, 0)


def test_the_server_counts_lines_by_newlines_and_no_byte_order_mark():
    assert server_location(["a\n", "bc"], Cursor(1, 1)) == (2, 2)
    assert server_location(["a\r\n", "b\r", "c\r", "d\n", "e"], Cursor(3, 1)) == (2, 6)
    assert server_location(["a\r\n", "b\r", "c\r", "d\n", "e"], Cursor(4, 0)) == (3, 1)
    assert server_location(["\ufeffab\n", "c"], Cursor(0, 2)) == (1, 2)
    assert server_location(["\ufeffab\n", "c"], Cursor(0, 0)) == (1, 1)
    assert server_location(["\ufeffab\n", "c"], Cursor(1, 1)) == (2, 2)


def test_a_document_is_found_by_every_spelling_of_its_uri_and_the_last_used_comes_first():
    store = DocumentStore()
    first = store.open("file:///w/a%20b.py", "x")
    second = store.open("file:///w/c.py", "y")
    assert store.find("file:///w/a b.py") is first
    assert list(store) == [second, first]
    assert store.use("file:///w/a%20b.py") is first and list(store) == [first, second]
    store.close("file:///w/a b.py")
    store.close("file:///never/opened.py")
    assert list(store) == [second] and store.use("file:///w/a b.py") is None
