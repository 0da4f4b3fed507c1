"""Whether the adapter in use has been a good choice: what people made of its completions, and how
much it has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.refresh.schedule import new_commits
from git_copilot.index.corpus.feedback_statistics import statistics

# The time that counts; with fewer shown completions on either side nothing is said.
DAYS, LEAST_SHOWN = 90, 200
# Looked at often, and never corrected for that: 1% is asked for instead of 5%.
SIGNIFICANCE = 0.01
# Commits since the last refresh, after which an adapter is called stale.
STALE_COMMITS = 500


@dataclass(frozen=True, slots=True)
class Acceptance:
    """``taken`` of ``shown`` completions were accepted, in whole, in part or with edits."""

    shown: int = 0
    taken: int = 0

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.taken / self.shown if self.shown else 0.0

    def __add__(self, other: Acceptance) -> Acceptance:
        return Acceptance(self.shown + other.shown, self.taken + other.taken)

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.shown:,}"


@dataclass(frozen=True, slots=True)
class Remark:
    """What speaks against the adapter in use, and the command for that."""

    text: str
    remedy: str


def watch_adapter(context: RepositoryContext, adapter: str, now: int | None = None) -> list[Remark]:
    """What speaks against ``adapter``, which is in use; read-only.

    :param now: seconds since the epoch.
    """
    remarks = []
    mine, others = _acceptance(context, adapter, now)
    if is_lower(mine, others):
        remarks.append(
            Remark(
                f"{mine} completions with {adapter} were accepted, and {others} without it",
                "git copilot adapter rollback",
            )
        )
    unseen = new_commits(context).count
    if unseen >= STALE_COMMITS:
        remarks.append(
            Remark(
                f"{adapter} is stale: {unseen:,} commits came since the last refresh",
                "git copilot refresh",
            )
        )
    return remarks


def is_lower(one: Acceptance, other: Acceptance) -> bool:
    """Whether ``one`` is lower by more than chance gives: a one-sided z test of two proportions,
    at :data:`SIGNIFICANCE`."""
    if min(one.shown, other.shown) < LEAST_SHOWN:
        return False
    both = one + other
    spread = math.sqrt(both.share * (1 - both.share) * (1 / one.shown + 1 / other.shown))
    if spread == 0:
        return False
    return NormalDist().cdf((one.share - other.share) / spread) < SIGNIFICANCE


def _acceptance(
    context: RepositoryContext, adapter: str, now: int | None
) -> tuple[Acceptance, Acceptance]:
    """Of the completions with ``adapter``, and of those of the same model without it."""
    mine = others = Acceptance()
    for row in statistics(context.db, now, DAYS)["by_adapter"]:
        if row["model"] != context.settings.model:
            continue
        if row["adapter"] == adapter:
            mine += _of(row)
        else:
            others += _of(row)
    return mine, others


def _of(row: dict[str, Any]) -> Acceptance:
    return Acceptance(row["shown"], row["accepted"] + row["partial"] + row["edited"])
