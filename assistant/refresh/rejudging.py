"""Judges an adapter that is there already as a refresh judges its candidate, and promotes it if it
wins: merged and pulled adapters, copies of another strength, and old ones on newer commits."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.catch_up import mine_commits
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.arms import ArmEvaluator
from git_copilot.assistant.evaluation.eval_run import WORK, held_out_set, newest_holes
from git_copilot.assistant.evaluation.hole_results import ADAPTER, BASE, IN_USE, HoleResult
from git_copilot.assistant.evaluation.metrics import summarise
from git_copilot.assistant.evaluation.regression_check import (
    RegressionCheck,
    check_regression,
    guard_examples,
)
from git_copilot.assistant.evaluation.report import (
    ArmScores,
    ArmsReport,
    EvaluationReport,
    EvaluationSettings,
    HoleSet,
)
from git_copilot.assistant.evaluation.score_store import ScoreStore
from git_copilot.assistant.evaluation.stored_scoring import base_identity
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.refresh.incumbent import adapter_in_use
from git_copilot.assistant.refresh.judging import Judge, JudgedArm, Until
from git_copilot.assistant.refresh.page import hole_results
from git_copilot.assistant.refresh.promotion import Decision, decide
from git_copilot.assistant.refresh.run_clock import RunClock
from git_copilot.assistant.refresh.run_state import LOCK
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import file_lock

DEFAULT_HOLES = 100
# As long as it takes: whoever asks waits, and an interrupted judging goes on.
_UNTIL_DONE = Until(math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class JudgedAdapter:
    """An evaluation with the decision about its candidate."""

    evaluation: EvaluationReport
    regression: RegressionCheck
    decision: Decision

    @property
    def promoted(self) -> bool:
        return self.decision.promoted

    def to_json(self) -> dict[str, Any]:
        """What is written over the adapter's report."""
        return {
            **self.evaluation.to_json(),
            "regression_guard": asdict(self.regression),
            "promoted": self.promoted,
            "reason": self.decision.reason,
        }


def judge_adapter(
    context: RepositoryContext, adapter: str, *, folder: Path, holes: int = DEFAULT_HOLES
) -> JudgedAdapter:
    """Judge an adapter by the newest holes that neither it nor the one in use has learnt from, write
    the result into its report, and use it if it wins.

    :param context: with its embedder and vectors.
    :param folder: the base model's.
    :param holes: at most so many.
    :raises CopilotError: there is no such adapter, it is in use or made for another model, a refresh
        runs, or no hole is new to it.
    """
    state, settings = context.state_dir, context.settings
    path = adapter_store.path_for_model(state, adapter, settings.model)
    incumbent = adapter_in_use(context)
    if incumbent == adapter:
        raise CopilotError(
            f"the adapter {adapter} is in use: it has nothing to win against",
            "measure it with `git copilot eval`",
        )
    lock = adapter_store.adapters_dir(state) / LOCK
    with file_lock(lock, "another refresh of this repository is running"):
        judged = _judge(context, (adapter, path), incumbent, folder, holes)
        report = adapter_store.read_report(state, adapter)
        adapter_store.write_report(path, _updated(report, judged))
        if judged.promoted:
            adapter_store.use(state, adapter)
    return judged


def _judge(
    context: RepositoryContext,
    candidate: tuple[str, Path],
    incumbent: str | None,
    folder: Path,
    count: int,
) -> JudgedAdapter:
    settings, clock = context.settings, RunClock.start()
    adapter, path = candidate
    mine_commits(context)
    used = [adapter, *([incumbent] if incumbent else [])]
    kept = adapter_store.adapters_dir(context.state_dir) / WORK
    tokenizer = TextTokenizer.load(folder, settings.model)
    store = ScoreStore(kept)
    evaluator = ArmEvaluator(folder, settings, tokenizer, context.progress, store)
    chosen = newest_holes(context.repo, context.db, None, used, count)
    held, known = held_out_set(context, evaluator, chosen, used)
    judge = Judge(
        evaluator,
        settings,
        base_identity(settings.model, folder),
        held.retrieval,
        guard_examples(tokenizer),
        store,
        clock,
        context.progress,
    )
    base = judge.judge(None, "base model", _UNTIL_DONE, guard=True)
    old = None
    if incumbent is not None:
        in_use = adapter_store.adapter_path(context.state_dir, incumbent)
        old = judge.judge(in_use, "adapter in use", _UNTIL_DONE, drafts=base)
    found = judge.judge(path, "candidate", _UNTIL_DONE, drafts=base, against=base, guard=True)
    regression = check_regression(base.guard, found.guard)
    decision = decide(
        base.scores,
        old.scores if old else None,
        found.scores,
        guard_passed=regression.passed,
        seed=settings.seed,
    )
    evaluation = EvaluationReport(
        candidate=adapter,
        incumbent=incumbent,
        base_model=settings.model,
        held_out=HoleSet.of([example.hole for example in held.retrieval]),
        copies_dropped=known.total,
        dropped=known,
        arms=_arms(base, old, found),
        comparison=decision.comparison,
        seed=settings.seed,
        settings=EvaluationSettings.of(settings),
        seconds=clock.elapsed(),
        results=_results(held.retrieval, base, old, found),
    )
    shutil.rmtree(kept, ignore_errors=True)
    return JudgedAdapter(evaluation, regression, decision)


def _arms(base: JudgedArm, old: JudgedArm | None, found: JudgedArm) -> ArmsReport:
    in_use = ArmScores(summarise(old.scores)) if old else None
    return ArmsReport.of(
        ArmScores(summarise(base.scores)), in_use, ArmScores(summarise(found.scores))
    )


def _results(
    held: Sequence[Example], base: JudgedArm, old: JudgedArm | None, found: JudgedArm
) -> tuple[HoleResult, ...]:
    arms = {BASE: base.found, **({IN_USE: old.found} if old else {}), ADAPTER: found.found}
    return hole_results(held, arms)


def _updated(report: dict[str, Any], judged: JudgedAdapter) -> dict[str, Any]:
    """The report of an adapter with its new judgement; what it learnt from stays."""
    new = judged.to_json()
    return {
        **report,
        **new,
        "commits": {**report.get("commits", {}), **new["commits"]},
        "holes": {**report.get("holes", {}), **new["holes"]},
    }
