"""A completion as the protocols need it: its text, what it cost, and why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from git_copilot.assistant.api.answers import CompleteAnswer

STOP, LENGTH = "stop", "length"


@dataclass(frozen=True, slots=True)
class Filled:
    """An answer; ``texts`` are its candidates, the best first, cut where the client wants."""

    answer: CompleteAnswer
    texts: tuple[str, ...]

    @classmethod
    def of(cls, answer: CompleteAnswer, stops: Sequence[str] = ()) -> Filled:
        texts = tuple(cut_at(text, stops) for text in answer.candidates)
        return cls(answer, tuple(dict.fromkeys(texts)))

    @property
    def text(self) -> str:
        return self.texts[0]

    @property
    def finish_reason(self) -> str:
        """``length`` or ``stop``: to clients a trimmed text ended by itself."""
        return LENGTH if self.answer.finish_reason == LENGTH else STOP

    def with_text(self, text: str) -> Filled:
        return replace(self, texts=(text,))


def cut_at(text: str, stops: Sequence[str]) -> str:
    """``text`` up to the first of ``stops``."""
    ends = [text.index(stop) for stop in stops if stop and stop in text]
    return text[: min(ends)] if ends else text


def cut_at_outdent(text: str, columns: int) -> str:
    """``text`` up to the first line, other than its first, that is indented by less than ``columns``
    white space characters and is not blank: ``n_indent`` of llama.cpp."""
    first, *lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.strip() and len(line) - len(line.lstrip()) < columns:
            return "\n".join([first, *lines[:number]])
    return text
