"""Holes of every kind: where they begin and end, and what is no sensible task."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.index.corpus import cuts, holes
from git_copilot.index.corpus.cuts import Block, SourceText, is_worth_completing
from git_copilot.index.corpus.holes import choose_spans

CODE = b'''import os


def area(width, height):
    """The area of a rectangle."""
    total = width * height
    return total


class Box:
    def grow(self, amount):
        # Every side grows by the same amount.
        self.width += amount
        self.height += amount

        return self
'''


def every(cut, data=CODE, language="python", lines=None, tries=200):
    """All texts that ``cut`` takes out of ``data``."""
    source = SourceText(data, language)
    last = lines or source.lines
    rng = random.Random(0)
    found = set()
    for _ in range(tries):
        first = rng.randrange(last)
        block = Block(first, min(first + 3, last), 0, last)
        span = cut(source, block, rng)
        if span is not None:
            found.add((data[span.start : span.end].decode(), span.kind))
    return found


def test_a_line_hole_ends_with_its_line_after_a_non_empty_prefix():
    found = every(cuts.cut_line)
    assert ("* height", "line") not in found  # two tokens
    assert ("= width * height", "line") in found
    lines = {line.strip() for line in CODE.decode().splitlines()}
    for text, kind in found:
        assert kind == "line" and "\n" not in text
        assert any(line.endswith(text) and line != text for line in lines)


def test_whole_line_holes_come_with_and_without_indentation():
    texts = {text for text, _ in every(cuts.cut_lines)}
    assert "    total = width * height" in texts
    assert "total = width * height" in texts
    assert all(len(text.splitlines()) <= 3 for text in texts)
    assert all(text.strip() and not text.endswith("\n") for text in texts)


def test_a_node_hole_is_a_syntax_node():
    texts = {text.strip() for text, _ in every(cuts.cut_node)}
    assert {"width * height", "self.width += amount", "(self, amount)"} <= texts
    assert "total = width" not in texts


def test_character_holes_start_and_end_within_words_and_span_lines():
    texts = {text for text, _ in every(cuts.cut_characters, tries=2000)}
    assert any("\n" in text for text in texts)
    assert any(text.startswith("idth") for text in texts)
    assert any(text.endswith("heigh") for text in texts)


def test_a_docstring_or_comment_is_followed_by_a_hole_of_the_code_it_describes():
    found = {(text.strip(), kind) for text, kind in every(cuts.cut_described)}
    assert found == {
        ("total = width * height\n    return total", "body"),
        ("self.width += amount\n        self.height += amount", "described"),
    }


def test_described_code_outside_the_added_lines_is_no_hole():
    assert every(cuts.cut_described, lines=6) == set()


def test_holes_are_cut_in_other_languages():
    data = b"/** Adds. */\nfunction add(a, b) {\n  const sum = a + b;\n  return sum;\n}\n"
    found = every(cuts.cut_described, data, "javascript")
    assert {text.strip() for text, _ in found} == {
        "const sum = a + b;\n  return sum;",
        "function add(a, b) {\n  const sum = a + b;\n  return sum;\n}",
    }
    assert every(cuts.cut_node, b"some words of prose\n", "text") == set()


@pytest.mark.parametrize(
    "text",
    ["", "x", ")])", "1, 2, 3, 44, 55", "key = " + "a" * 80, "a b " * 200],
)
def test_meaningless_text_is_no_hole(text):
    assert not is_worth_completing(text)


def test_large_files_are_parsed_around_the_added_lines_only():
    filler = "".join(f"def f{i}(a):\n    return a + {i}\n\n\n" for i in range(3000)).encode()
    data = filler + CODE + filler
    first = filler.count(b"\n")
    runs = [(first + 1, CODE.count(b"\n"))]
    low, high = len(filler), len(filler) + len(CODE)
    found = Counter()
    for seed in range(60):
        for span in choose_spans(data, runs, str(seed), "python"):
            assert low <= span.start < span.end <= high
            found[span.kind] += 1
    assert set(found) == {"line", "lines", "node", "chars", "body", "described"}


def test_hole_kinds_have_the_documented_proportions():
    assert sum(share for _, share in holes.MIXTURE) == pytest.approx(1)
    found = Counter(
        span.kind
        for seed in range(300)
        for span in choose_spans(CODE, [(1, 16)], str(seed), "python")
    )
    total = found.total()
    assert 0.05 < found["chars"] / total < 0.2
    assert found["line"] / total < 0.7


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="ab (){}:=#\"'\n\r\té😀", max_size=300),
    st.integers(0, 1000),
    st.sampled_from(["python", "javascript", "text", "c"]),
)
def test_holes_are_disjoint_and_split_no_character_or_line_end(text, seed, language):
    data = text.encode()
    end = 0
    for span in choose_spans(data, [(1, data.count(b"\n") + 1)], str(seed), language):
        assert end <= span.start < span.end <= len(data)
        end = span.end
        before, middle, after = data[: span.start], data[span.start : span.end], data[span.end :]
        assert before.decode() + middle.decode() + after.decode() == text
        assert not (before.endswith(b"\r") and middle.startswith(b"\n"))
        assert not middle.endswith((b"\n", b"\r"))


def test_a_byte_order_mark_is_never_in_a_hole():
    data = b"\xef\xbb\xbffirst = call(1, two)\n"
    spans = [s for seed in range(40) for s in choose_spans(data, [(1, 1)], str(seed), "python")]
    assert spans and all(span.start >= 3 for span in spans)
