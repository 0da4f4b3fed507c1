"""What became of the items that were sent, for reports to the server. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.api.requests import FeedbackRequest
from git_copilot.assistant.lsp.items import ItemText
from git_copilot.assistant.lsp.positions import UTF16, index_at_units

# Items that a client may still report on.
MOST = 512


@dataclass(frozen=True, slots=True)
class SentItem:
    """An item, the folder of its file, and how much of the text that the client counts stands before
    what the item inserts, in UTF-16."""

    text: ItemText
    folder: Path
    lead: int = 0


def feedback_json(request: FeedbackRequest) -> dict[str, object]:
    """A report as the server's socket takes it."""
    return {
        "id": request.completion_id,
        "outcome": request.outcome,
        "cwd": str(request.folder),
        "final": request.final,
        "accepted_length": request.accepted_length,
    }


class SentItems:
    """The items that were sent lately, by name."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, SentItem] = OrderedDict()

    def remember(self, item: SentItem) -> None:
        self._items.pop(item.text.item, None)
        self._items[item.text.item] = item
        if len(self._items) > MOST:
            self._items.popitem(last=False)

    def accepted(self, name: str, length: int | None = None) -> FeedbackRequest | None:
        """The report that an item was taken; ``None`` for an unknown item.

        :param length: the part that was taken, in UTF-16 as the client counts; ``None`` for all.
        """
        item = self._items.get(name)
        if item is None:
            return None
        text = item.text.text
        taken = text if length is None else text[: index_at_units(text, length - item.lead, UTF16)]
        if not taken:
            return None
        if taken != text and item.text.first and not item.text.replaces:
            return FeedbackRequest(
                item.text.completion, "partial", item.folder, accepted_length=len(taken)
            )
        if taken != text:
            return self._report(item, "edited", taken)
        if item.text.first:
            return self._report(item, "accepted")
        return self._report(item, "edited", text)  # another candidate than the recorded one

    def rejected(self, name: str) -> FeedbackRequest | None:
        """The report that an item was dismissed; ``None`` for an unknown item."""
        item = self._items.get(name)
        return None if item is None else self._report(item, "rejected")

    @staticmethod
    def _report(item: SentItem, outcome: str, final: str | None = None) -> FeedbackRequest:
        return FeedbackRequest(item.text.completion, outcome, item.folder, final)
