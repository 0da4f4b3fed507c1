"""Scores of single holes, kept while a refresh or an evaluation is unfinished, so that none is
measured twice.

One line of JSON per score, appended as soon as it is measured; a line that a kill cut short is
ignored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.metrics import Score
from git_copilot.index.core.files import os_errors

FILE = "scores.jsonl"


@dataclass(frozen=True, slots=True)
class StoredScore:
    """A score, and the tokens of the completion and what is shown of it (none without one)."""

    score: Score
    ids: tuple[int, ...] = ()
    text: str = ""


def files_identity(paths: Iterable[Path]) -> str:
    """A text that changes when one of some files is replaced; they are not read.

    :raises OSError: one of them is missing.
    """
    found = []
    for path in sorted(paths):
        status = path.stat()
        found.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(found)


def score_key(model: str, precision: str, example: Example, settings: Settings) -> str:
    """What a score depends on, as a hash: the model, its precision, the tokens, the text that may
    be copied, and the settings of completions.

    :param model: identifies the weights, those of an adapter included.
    """
    facts = (
        model,
        precision,
        example.prompt_ids,
        example.middle_ids,
        example.cut.closers,
        example.copy_context,
        settings.max_tokens,
        settings.alternatives,
        settings.copying,
    )
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()


class ScoreStore:
    """The scores in one folder, or in memory alone."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / FILE
        self._found: dict[str, StoredScore] = {}
        if self._path is not None:
            self._read(self._path)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        for line in lines:
            try:
                key, score, ids, text = json.loads(line)
                self._found[key] = StoredScore(Score(**score), tuple(ids), text)
            except (ValueError, TypeError):
                continue

    def get(self, key: str, *, completed: bool) -> StoredScore | None:
        """A score that was measured before, one with a completion where that is needed."""
        found = self._found.get(key)
        return None if found is None or (completed and not found.score.completed) else found

    def put(self, key: str, stored: StoredScore) -> None:
        """Keep a score.

        :raises CopilotError: the disk is full or may not be written.
        """
        self._found[key] = stored
        if self._path is None:
            return
        line = json.dumps([key, asdict(stored.score), list(stored.ids), stored.text])
        with os_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # The first line end parts this line from one that a kill cut short.
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")
