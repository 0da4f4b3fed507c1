"""What a refresh would do: what it would learn from and be judged by, and how long it would take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.progress import duration
from git_copilot.assistant.dataset.hole_selection import is_snapshot
from git_copilot.assistant.evaluation.regression_check import guard_examples
from git_copilot.assistant.refresh.incumbent import adapter_in_use
from git_copilot.assistant.refresh.plan import RefreshPlan
from git_copilot.assistant.refresh.preparation import (
    Wanted,
    select_training,
    split_history,
    update_corpus,
)
from git_copilot.assistant.refresh.run_clock import RunClock
from git_copilot.assistant.refresh.run_state import RefreshRun
from git_copilot.assistant.refresh.start import history, measured_plan
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Hole


@dataclass(frozen=True, slots=True)
class Lesson:
    """``passages`` of the ``files`` of a tree, and holes of ``commits``, whose text is learnt."""

    passages: int
    files: int
    holes: int
    commits: int

    @classmethod
    def of(cls, holes: Iterable[Hole]) -> Lesson:
        """Count them."""
        tree, written = list[Hole](), list[Hole]()
        for hole in holes:
            (tree if is_snapshot(hole) else written).append(hole)
        files, commits = {hole.path for hole in tree}, {hole.commit for hole in written}
        return cls(len(tree), len(files), len(written), len(commits))


@dataclass(frozen=True, slots=True)
class DryRun:
    """``learn`` is what would be learnt; the candidate would be judged by ``judge`` holes of
    ``judge_commits``, the oldest of which is of ``since`` (seconds since the epoch)."""

    base_model: str
    incumbent: str | None
    start: str | None
    learn: Lesson
    judge: int
    judge_commits: int
    since: int
    plan: RefreshPlan

    def to_json(self) -> dict[str, Any]:
        """The object that ``refresh --dry-run --json`` prints; times of the plan in seconds."""
        return {
            "dry_run": True,
            "base_model": self.base_model,
            "incumbent": self.incumbent,
            "started_from": self.start,
            "learn": asdict(self.learn),
            "judge": {"holes": self.judge, "commits": self.judge_commits, "since": self._day()},
            "plan": self.plan.to_json(),
            "enough": self.plan.enough,
        }

    def lines(self) -> list[str]:
        """The same for a person."""
        learn, plan = self.learn, self.plan
        taught = [f"{learn.passages} passages of {learn.files} files"] * bool(learn.passages)
        taught += [f"{learn.holes} holes of {learn.commits} commits"] * bool(learn.holes)
        times = f", {plan.epochs} times" if plan.epochs > 1 else ""
        against = f"the adapter {self.incumbent}" if self.incumbent else "the base model"
        start = f"the adapter {self.start}" if self.start else "a new adapter"
        took = (
            f"{duration(plan.total)} (preparing {duration(plan.preparing)}, training"
            f" {duration(plan.training)}, judging {duration(plan.judging)})"
        )
        if not plan.enough:
            took += f"; {duration(plan.limit)} do not suffice, --minutes {plan.minutes_needed} does"
        return [
            f"learns    {' and '.join(taught)}{times}",
            f"starts    from {start}",
            f"judges    by {self.judge} holes of {self.judge_commits} commits since {self._day()},"
            f" against {against}",
            f"takes     about {took}",
        ]

    def _day(self) -> str:
        return datetime.fromtimestamp(self.since, UTC).date().isoformat()


def dry_run(
    context: RepositoryContext,
    *,
    clock: RunClock,
    folder: Path,
    max_holes: int | None = None,
    held_out_holes: int | None = None,
) -> DryRun:
    """Plan a refresh and measure the speed of this machine; nothing is trained and no adapter
    changes. The parameters are those of :func:`~git_copilot.assistant.refresh.pipeline.run_refresh`.

    :raises CopilotError: there are too few holes, or the model cannot be loaded.
    """
    update_corpus(context)
    head = context.repo.head_commit()
    if head is None:
        raise CopilotError("the history has no commit to learn from", "commit something first")
    incumbent = adapter_in_use(context)
    run = RefreshRun.of(context, folder, clock, incumbent)
    commits = history(context, head)
    wanted = Wanted.of(context.settings, max_holes, held_out_holes)
    split = split_history(run, commits, wanted)
    guard = guard_examples(run.tokenizer)
    plan, _ = measured_plan(run, wanted, commits, split, guard, incumbent)
    chosen = Wanted(learn=plan.learn, judge=plan.judge, exact=True)
    held_out = split_history(run, commits, chosen).held_out
    return DryRun(
        base_model=context.settings.model,
        incumbent=incumbent,
        start=run.warm.adapter if run.warm else None,
        learn=Lesson.of(select_training(run, commits, held_out, plan.learn)),
        judge=len(held_out),
        judge_commits=len({hole.commit for hole in held_out}),
        since=min(hole.time for hole in held_out),
        plan=plan,
    )
