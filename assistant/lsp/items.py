"""From the server's answer to the items of both protocols. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from git_copilot.assistant.lsp.positions import UTF16, count_units

ACCEPTED = "gitCopilot.accepted"
COPILOT_ACCEPTED = "github.copilot.didAcceptCompletionItem"


@dataclass(frozen=True, slots=True)
class ItemText:
    """A text to insert at the cursor, in the place of ``replaces`` characters right of it. ``item``
    names it in reports; ``completion`` is the id of the answer, ``first`` whether the answer
    itself has this text."""

    item: str
    completion: str
    text: str
    replaces: int = 0
    first: bool = True


@dataclass(frozen=True, slots=True)
class SelectedEntry:
    """The entry of the completion menu that is selected: what it puts between two columns of the
    cursor's line."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """The line that items go into, as the client has it, without its end. Columns count code points;
    ``encoding`` is that of the client's positions."""

    number: int
    line: str
    column: int
    encoding: str
    selected: SelectedEntry | None = None

    def position(self, column: int) -> dict[str, int]:
        """A column as a position of the protocol."""
        character = count_units(self.line[:column], self.encoding)
        return {"line": self.number, "character": character}


def item_texts(answer: dict[str, Any], count: int) -> list[ItemText]:
    """At most ``count`` texts of an answer that differ, the best first."""
    completion = str(answer["id"])
    whole_line = answer.get("whole_line")
    found: list[ItemText] = []

    def add(text: str, replaces: int, *, first: bool) -> None:
        text = text.replace("\r\n", "\n")
        if text.strip() and all((text, replaces) != (x.text, x.replaces) for x in found):
            item = f"{completion}#{len(found)}" if found else completion
            found.append(ItemText(item, completion, text, replaces, first))

    if whole_line:
        add(whole_line["completion"], whole_line["replaces"], first=True)
    add(answer["completion"], 0, first=True)
    for text in answer.get("candidates", ()):
        add(text, 0, first=False)
    return found[:count]


def inline_item(text: ItemText, place: ItemPlace, command: str) -> dict[str, Any]:
    """An item of ``textDocument/inlineCompletion``. Its range lies in the cursor's line."""
    start = end = place.column
    insert = text.text
    item: dict[str, Any] = {}
    if place.selected is not None:
        start, end = place.selected.start, max(place.selected.end, end)
        insert = place.selected.text + insert
        typed = place.line[start : place.column]
        if not insert.startswith(typed):  # the menu matched other letters, `mys` for `mySelf`
            item["filterText"] = typed + insert[len(typed) :]
    end = min(len(place.line), end + text.replaces)
    return {
        "insertText": insert,
        **item,
        "range": {"start": place.position(start), "end": place.position(end)},
        "command": {"title": "Accept completion", "command": command, "arguments": [text.item]},
    }


def cycling_item(text: ItemText, place: ItemPlace) -> dict[str, Any]:
    """An item of ``getCompletions``: ``text`` is the whole line with what follows, in the place of
    the whole line. copilot.lua takes what stands behind the cursor off its end again."""
    before, behind = place.line[: place.column], place.line[place.column :]
    single = "\n" not in text.text
    end = len(place.line) if single else min(len(place.line), place.column + text.replaces)
    return {
        "uuid": text.item,
        "text": before + text.text + (behind[text.replaces :] if single else ""),
        "displayText": text.text,
        "range": {"start": place.position(0), "end": place.position(end)},
        "position": place.position(place.column),
    }


def cycling_lead(place: ItemPlace) -> int:
    """How much of the text of a :func:`cycling_item` stands before what it inserts, in UTF-16."""
    return count_units(place.line[: place.column], UTF16)
