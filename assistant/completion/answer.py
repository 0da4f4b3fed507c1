"""An answer: the JSON of the contract, and what ``--explain`` adds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from git_copilot.assistant.completion.request import Place

if TYPE_CHECKING:
    from git_copilot.index.core.types import Hit


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON of the contract, and what ``--explain`` adds."""

    fields: dict[str, Any]
    explanation: dict[str, Any]
    place: Place

    @property
    def completion(self) -> str:
        return str(self.fields["completion"])


def place_fields(place: Place) -> dict[str, Any]:
    """The fields of an answer that say where the cursor was."""
    at = place.document
    return {"file": place.path, "line": at.line, "column": at.column}


def snippet_fields(hit: Hit, tokens: int) -> dict[str, Any]:
    return {
        "path": hit.path,
        "blob": hit.blob,
        "start_line": hit.start_line,
        "end_line": hit.end_line,
        "score": round(hit.score, 5),
        "sources": list(hit.sources),
        "tokens": tokens,
    }


def answer_id(
    place: Place, tree: str, model: str, adapter: str | None, ids: tuple[int, ...]
) -> str:
    """Equal for equal inputs: the same question to the same state has the same id."""
    digest = hashlib.sha256()
    document = place.document
    for part in (
        place.path, tree, model, adapter or "", ",".join(map(str, ids)),
        document.prefix, document.suffix,
    ):  # fmt: skip
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return f"cmpl-{digest.hexdigest()[:16]}"
