"""How a refresh begins: it continues an unfinished one, or plans within its time limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.adapter_store import CONFIG, WEIGHTS
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.progress import duration
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.dataset.split import Split
from git_copilot.assistant.evaluation.arms import LoadedArm
from git_copilot.assistant.evaluation.regression_check import guard_examples
from git_copilot.assistant.refresh.judging import guard_part
from git_copilot.assistant.refresh.plan import Bounds, RefreshPlan, plan_refresh
from git_copilot.assistant.refresh.preparation import (
    Wanted,
    judging_order,
    select_training,
    split_history,
)
from git_copilot.assistant.refresh.probe import probe
from git_copilot.assistant.refresh.run_clock import RefusedPlan
from git_copilot.assistant.refresh.run_state import CANDIDATE, RefreshRun
from git_copilot.assistant.refresh.unfinished import Unfinished
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.history import list_commits

# Seconds, for plans without a limit.
UNLIMITED = 1e9


@dataclass(slots=True)
class Start:
    """Where a refresh begins.

    :ivar state: also what is on disk.
    :ivar commits: of its history, newest first.
    :ivar guard: the holes of the regression check.
    :ivar arm: the base model, where the probe has loaded it.
    """

    state: Unfinished
    commits: list[str]
    split: Split
    guard: list[Example]
    arm: LoadedArm | None = None

    def take_arm(self) -> LoadedArm | None:
        """The loaded base model, which is not kept here any longer."""
        arm, self.arm = self.arm, None
        return arm


def begin(run: RefreshRun, wanted: Wanted, incumbent: str | None) -> Start:
    """Continue the last refresh if it was interrupted, else begin one and write that down.

    :param wanted: without a time limit.
    :raises RefusedPlan: the time limit allows no decision.
    :raises CopilotError: there are too few holes.
    """
    head = run.context.repo.head_commit()
    if head is None:
        raise CopilotError("the history has no commit to learn from", "commit something first")
    guard = guard_examples(run.tokenizer)
    last = Unfinished.load(run.work)
    if last is not None and _continues(run, last, wanted, head):
        commits = history(run.context, last.head)
        split = split_history(run, commits, last.wanted)
        if last.trained is not None:
            run.context.note("the candidate of an unfinished refresh is judged")
        return Start(last, commits, split, guard_part(guard, last.guard))
    commits = history(run.context, head)
    split = split_history(run, commits, wanted)
    state = Unfinished(_model_key(run), _key(run, wanted), head, wanted, len(guard))
    arm = None
    if run.clock.limit is not None:
        plan, arm = measured_plan(run, wanted, commits, split, guard, incumbent)
        _require_useful(plan)
        run.context.note(plan.line())
        chosen = replace(wanted, learn=plan.learn, judge=plan.judge, exact=True)
        state = replace(state, wanted=chosen, guard=plan.guard, plan=plan)
        split = split_history(run, commits, chosen)
    state.save(run.work)
    return Start(state, commits, split, guard_part(guard, state.guard), arm)


def _require_useful(plan: RefreshPlan) -> None:
    """:raises RefusedPlan: its time limit allows no decision."""
    if not plan.enough:
        raise RefusedPlan(
            f"{duration(plan.limit)} are too short to learn from {plan.learn} holes and to judge by"
            f" {plan.judge} at this machine's present speed",
            f"allow more with `--minutes {plan.minutes_needed}`, or for refreshes that start by"
            f" themselves with `git config copilot.refreshMinutes {plan.minutes_needed}`",
        )


def measured_plan(
    run: RefreshRun,
    wanted: Wanted,
    commits: Sequence[str],
    split: Split,
    guard: Sequence[Example],
    incumbent: str | None,
) -> tuple[RefreshPlan, LoadedArm]:
    """The plan at this machine's present speed, and the base model that was loaded to measure it.

    Without a time limit it is that of everything that is wanted.
    """
    begun = run.clock.elapsed()
    there = select_training(run, commits, split.held_out, wanted.learn)
    selecting = run.clock.elapsed() - begun
    measured = probe(run, judging_order(split.held_out), guard)
    bounds = Bounds(
        seconds=UNLIMITED if run.clock.limit is None else run.clock.limit,
        # With fewer held-out holes, others are selected to learn from.
        spent=run.clock.elapsed() + selecting,
        arms=2 if incumbent is None else 3,
        learn=max(len(there), 1),
        judge=len(split.held_out),
        guard=len(guard),
    )
    return plan_refresh(measured.rates, measured.sizes, bounds), measured.arm


def history(context: RepositoryContext, tip: str) -> list[str]:
    """The commits of a history, newest first."""
    limit = context.settings.history_commits
    return [c.oid for c in list_commits(context.repo, tip, limit=limit)]


def _continues(run: RefreshRun, last: Unfinished, wanted: Wanted, head: str) -> bool:
    """Whether the unfinished refresh is to be continued: its candidate waits to be judged, or the
    same was asked for and nothing has changed since."""
    if last.trained is None:
        return last.key == _key(run, wanted) and last.head == head and last.plan is not None
    files = [run.work / CANDIDATE / name for name in (CONFIG, WEIGHTS, adapter_store.COMMITS)]
    repo = run.context.repo
    return (
        last.model == _model_key(run)
        and all(path.is_file() for path in files)
        and repo.try_run("merge-base", "--is-ancestor", last.head, head)[0] == 0
    )


def _model_key(run: RefreshRun) -> str:
    start = "" if run.warm is None else f" {run.warm.adapter} {run.warm.replays}"
    return f"{run.context.settings.model} {run.recipe}{start}"


def _key(run: RefreshRun, wanted: Wanted) -> str:
    settings = run.context.settings
    forms = f"{settings.evaluation_form} {settings.training_form}"
    return f"{_model_key(run)} {run.clock.limit} {wanted} {forms}"
