"""Reports on items."""

from __future__ import annotations

from pathlib import Path

from git_copilot.assistant.lsp import outcomes
from git_copilot.assistant.lsp.items import ItemText
from git_copilot.assistant.lsp.outcomes import SentItem, SentItems, feedback_json

FOLDER = Path("/w")


def sent(text="a😀b", lead=0, **more):
    items = SentItems()
    items.remember(SentItem(ItemText("i", "cmpl-1", text, **more), FOLDER, lead))
    return items


def facts(report):
    return report.completion_id, report.outcome, report.final, report.accepted_length


def test_an_accepted_item():
    report = sent().accepted("i")
    assert feedback_json(report) == {
        "id": "cmpl-1",
        "outcome": "accepted",
        "cwd": "/w",
        "final": None,
        "accepted_length": None,
    }
    assert facts(sent().accepted("i", 4)) == ("cmpl-1", "accepted", None, None)
    assert facts(sent().accepted("i", 99)) == ("cmpl-1", "accepted", None, None)


def test_a_part_is_counted_in_utf16_and_reported_in_characters():
    assert facts(sent().accepted("i", 3)) == ("cmpl-1", "partial", None, 2)
    assert facts(sent(lead=10).accepted("i", 13)) == ("cmpl-1", "partial", None, 2)
    assert sent().accepted("i", 0) is None and sent(lead=10).accepted("i", 4) is None


def test_another_candidate_than_the_recorded_one_is_an_edit():
    assert facts(sent(first=False).accepted("i")) == ("cmpl-1", "edited", "a😀b", None)
    assert facts(sent(first=False).accepted("i", 1)) == ("cmpl-1", "edited", "a", None)
    assert facts(sent(replaces=1).accepted("i", 1)) == ("cmpl-1", "edited", "a", None)
    assert facts(sent(replaces=1).accepted("i")) == ("cmpl-1", "accepted", None, None)


def test_a_rejected_item_and_an_unknown_one():
    assert facts(sent().rejected("i")) == ("cmpl-1", "rejected", None, None)
    assert sent().rejected("other") is None and sent().accepted("other") is None


def test_old_items_are_forgotten(monkeypatch):
    monkeypatch.setattr(outcomes, "MOST", 2)
    items = SentItems()
    for name in "abac":
        items.remember(SentItem(ItemText(name, name, "x"), FOLDER))
    assert items.accepted("b") is None
    assert items.accepted("a") is not None and items.accepted("c") is not None
