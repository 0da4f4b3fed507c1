"""What a refresh leaves behind when it is interrupted or runs out of time, for the next one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from git_copilot.assistant.dataset.leakage import DuplicateCounts
from git_copilot.assistant.evaluation.report import HoleSet
from git_copilot.assistant.refresh.plan import RefreshPlan
from git_copilot.assistant.refresh.preparation import Wanted
from git_copilot.assistant.training.trainer import TrainReport
from git_copilot.index.core.files import os_errors, write_atomically

FILE = "run.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Trained:
    """A candidate that is trained and not yet judged."""

    report: TrainReport
    holes: HoleSet
    copies: int
    duplicates: DuplicateCounts

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """:raises TypeError: a field is missing or unknown."""
        holes = facts["holes"]
        return cls(
            TrainReport(**facts["report"]),
            HoleSet(int(holes["count"]), tuple(map(str, holes["commits"]))),
            int(facts["copies"]),
            DuplicateCounts(**facts["duplicates"]),
        )


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A refresh that has begun.

    :ivar model: the model and the recipe.
    :ivar key: these, and what was asked for.
    :ivar head: the commit that its history begins with.
    :ivar guard: the number of holes of the regression check.
    """

    model: str
    key: str
    head: str
    wanted: Wanted
    guard: int
    plan: RefreshPlan | None = None
    trained: Trained | None = None

    def save(self, work: Path) -> None:
        """:raises CopilotError: the disk is full or may not be written."""
        path = work / FILE
        with os_errors(path):
            work.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"version": VERSION, **asdict(self)}).encode())

    @classmethod
    def load(cls, work: Path) -> Self | None:
        """``None`` where there is none, or it is damaged or of another version."""
        try:
            facts = json.loads((work / FILE).read_text("utf-8"))
            if facts["version"] != VERSION:
                return None
            plan, trained = facts["plan"], facts["trained"]
            return cls(
                str(facts["model"]),
                str(facts["key"]),
                str(facts["head"]),
                Wanted(**facts["wanted"]),
                int(facts["guard"]),
                RefreshPlan(**plan) if plan else None,
                Trained.from_json(trained) if trained else None,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
