"""The answer of ``context``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from git_copilot.assistant.api.answers import snippet_json

if TYPE_CHECKING:
    from git_copilot.assistant.api.answers import IndexState
    from git_copilot.index.core.types import Hit


@dataclass(frozen=True, slots=True)
class ContextAnswer:
    """What a prompt at a place would hold: ``snippets`` as in a completion, and its text."""

    file: str
    line: int
    column: int
    model: str
    index: IndexState
    snippets: tuple[tuple[Hit, int], ...]
    prompt_tokens: int
    prompt: str

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "model": self.model,
            "index": self.index.to_json(),
            "snippets": [
                {**snippet_json(h, tokens), "text": h.text} for h, tokens in self.snippets
            ],
            "prompt_tokens": self.prompt_tokens,
            "prompt": self.prompt,
        }
