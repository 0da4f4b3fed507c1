"""A text that is too much for its grammar takes bounded time and is chunked by lines."""

from __future__ import annotations

import threading
import time

import pytest

from git_copilot.index.text import parsing
from git_copilot.index.text.chunking import WINDOW, chunk_blob
from git_copilot.index.text.parsing import parse

ROUND = "(" * 60 + "\n"
TOO_MUCH = {
    "javascript": ROUND * 3500 + ROUND.replace("(", ")") * 3500,
    "bash": ROUND * 3500 + ROUND.replace("(", ")") * 3500,
    "html": "<div>\n" * 80_000,
    "vue": "<a>\n" * 80_000,
    "java": '"' * 300_000,
    "php": "<?php " + "[\n" * 100_000,
    "go": "func(\n" * 60_000,
}
MUCH = {
    "python": "f(\n" * 100_000 + ")\n" * 100_000,
    "javascript": "function a(){\n" * 20_000 + "}\n" * 20_000,
    "tsx": "x=" + "- " * 60_000 + "(" + "//\nfunction a(){},\n" * 15_000 + "1)\n",
    "c": "{\n" * 100_000 + "}\n" * 100_000,
}
# So much processor time, several times what the limit is: without a limit it is minutes.
BOUND = 20.0


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(parsing, "_slow", type(parsing._slow)())


def cut(text, language):
    begun = time.thread_time()
    chunks = chunk_blob(text.encode(), language)
    assert time.thread_time() - begun < BOUND
    return chunks


@pytest.mark.slow
@pytest.mark.parametrize("language", TOO_MUCH)
def test_text_that_is_too_much_for_a_grammar_is_chunked_by_lines(language):
    chunks = cut(TOO_MUCH[language], language)
    assert {chunk.kind for chunk in chunks} == {WINDOW}
    assert "\n".join(c.text.removesuffix("\n") for c in chunks) + "\n" == (
        TOO_MUCH[language] if language != "java" else TOO_MUCH[language] + "\n"
    )


@pytest.mark.parametrize("language", MUCH)
def test_deep_nesting_alone_is_parsed_at_little_cost(language):
    chunks = cut(MUCH[language], language)
    assert sum(map(len, (chunk.scope for chunk in chunks))) < 4 * len(MUCH[language])


def test_definitions_are_found_to_a_realistic_depth(monkeypatch):
    text = (
        "".join(f"{' ' * depth}class A{depth}:\n" for depth in range(200)) + " " * 200 + "x = 1\n"
    )
    symbols = [s for chunk in chunk_blob(text.encode(), "python") for s in chunk.symbols]
    assert [s.name for s in symbols] == [f"A{depth}" for depth in range(64)]
    assert symbols[63].scope.count(".") == 62


def test_text_that_took_too_long_to_parse_is_not_retried(monkeypatch):
    monkeypatch.setattr(parsing, "SECONDS", 0.0)
    monkeypatch.setattr(parsing, "SECONDS_PER_BYTE", 0.0)
    data = b"def f():\n    return 1\n" * 2000
    assert parse(data, "python") is None
    monkeypatch.setattr(parsing, "SECONDS", 60.0)
    assert parse(data, "python") is None
    assert parse(b"x = 1\n", "python") is not None
    assert parse(data + b"\n", "python") is not None
    assert {chunk.kind for chunk in chunk_blob(data, "python")} == {WINDOW}


def test_the_memory_of_unparsable_texts_is_bounded(monkeypatch):
    monkeypatch.setattr(parsing, "MAX_REMEMBERED", 3)
    for number in range(5):
        parsing.mark_too_slow(b"x = %d\n" % number, "python")
    found = [parse(b"x = %d\n" % number, "python") is None for number in range(5)]
    assert found == [False, False, True, True, True]


def test_html_with_open_paragraphs_and_deep_tables_is_parsed():
    """Elements that are closed, explicitly or implicitly, do not count as depth."""
    page = (
        "<ul>"
        + "<li>one<p>two<br>\n" * 1500
        + "</ul>\n"
        + "<table><tr><td>x</td></tr></table>\n" * 4000
    )
    assert parse(page.encode(), "html") is not None
    assert parse(("<div>" * 200 + "x" + "</div>" * 200).encode(), "html") is not None


def test_threads_parse_concurrently():
    """The parser requests its text in pieces, and another thread may run in between."""
    data = b"".join(b"def f%d(a, b):\n    return [a, b]\n" % i for i in range(3000))
    wanted = parse(data, "python").child_count
    found = []

    def work():
        found.extend(parse(data, "python").child_count for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 30
