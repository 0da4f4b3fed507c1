"""From answers to items."""

from __future__ import annotations

from git_copilot.assistant.lsp.items import (
    ItemPlace,
    ItemText,
    SelectedEntry,
    cycling_item,
    cycling_lead,
    inline_item,
    item_texts,
)
from git_copilot.assistant.lsp.positions import UTF8, UTF16

ANSWER = {"id": "cmpl-1", "completion": "one", "candidates": ["one", "two", " ", "three", "two"]}


def span(item):
    start, end = item["range"]["start"], item["range"]["end"]
    assert start["line"] == end["line"]
    return start["character"], end["character"]


def test_candidates_that_differ_have_names_of_their_own():
    texts = item_texts(ANSWER, 3)
    assert [(x.item, x.text, x.first) for x in texts] == [
        ("cmpl-1", "one", True),
        ("cmpl-1#1", "two", False),
        ("cmpl-1#2", "three", False),
    ]
    assert {x.completion for x in texts} == {"cmpl-1"}
    assert [x.text for x in item_texts(ANSWER, 1)] == ["one"]


def test_an_empty_answer_has_no_items():
    assert item_texts({"id": "x", "completion": " \n"}, 3) == []


def test_the_whole_line_comes_first_and_covers_what_it_replaces():
    whole = {"completion": "x) + f(y)", "replaces": 1}
    answer = {"id": "cmpl-1", "completion": "x", "whole_line": whole}
    first, second = item_texts(answer, 3)
    place = ItemPlace(4, "😀 f()", 4, UTF16)
    item = inline_item(first, place, "accept")
    assert item["insertText"] == "x) + f(y)" and span(item) == (5, 6)
    assert item["command"] == {
        "title": "Accept completion",
        "command": "accept",
        "arguments": ["cmpl-1"],
    }
    assert span(inline_item(second, place, "accept")) == (5, 5)
    assert span(inline_item(first, ItemPlace(4, "😀 f()", 4, UTF8), "accept")) == (7, 8)


def test_only_the_whole_line_is_offered_where_nothing_fits_between():
    answer = {"id": "c", "completion": "", "whole_line": {"completion": ") + 1", "replaces": 1}}
    assert [(x.text, x.replaces) for x in item_texts(answer, 1)] == [(") + 1", 1)]


def test_line_ends_are_newlines():
    answer = {"id": "c", "completion": "a:\r\n    b"}
    assert item_texts(answer, 1)[0].text == "a:\n    b"


def test_items_extend_the_selected_entry_of_the_menu():
    place = ItemPlace(0, "x = sel", 7, UTF16, SelectedEntry(4, 7, "self"))
    item = inline_item(ItemText("i", "c", ".name"), place, "accept")
    assert item["insertText"] == "self.name" and span(item) == (4, 7)
    assert "filterText" not in item


def test_the_filter_text_begins_with_what_was_typed():
    place = ItemPlace(0, "x = mys", 7, UTF16, SelectedEntry(4, 7, "self"))
    item = inline_item(ItemText("i", "c", ".name"), place, "accept")
    assert item["insertText"] == "self.name" and item["filterText"] == "mysf.name"


def test_items_of_getcompletions_are_whole_lines():
    place = ItemPlace(2, "  é = f()", 8, UTF16)
    item = cycling_item(ItemText("i", "c", "x"), place)
    assert item == {
        "uuid": "i",
        "text": "  é = f(x)",
        "displayText": "x",
        "range": {"start": {"line": 2, "character": 0}, "end": {"line": 2, "character": 9}},
        "position": {"line": 2, "character": 8},
    }
    replaced = cycling_item(ItemText("i", "c", "x) + 1", 1), place)
    assert replaced["text"] == "  é = f(x) + 1" and span(replaced) == (0, 9)
    several = cycling_item(ItemText("i", "c", "x,\ny"), place)
    assert several["text"] == "  é = f(x,\ny" and span(several) == (0, 8)
    assert cycling_lead(place) == 8
