"""The report of a refresh, with the decision about its candidate."""

from __future__ import annotations

from collections.abc import Sequence

from git_copilot.assistant.dataset.examples import TRAINING_SHARE, Example
from git_copilot.assistant.evaluation.hole_results import ADAPTER, BASE, IN_USE
from git_copilot.assistant.evaluation.metrics import summarise
from git_copilot.assistant.evaluation.regression_check import check_regression
from git_copilot.assistant.evaluation.report import (
    ArmScores,
    ArmsReport,
    EvaluationReport,
    EvaluationSettings,
    HoleSet,
    RefreshReport,
)
from git_copilot.assistant.refresh.judging import JudgedArm
from git_copilot.assistant.refresh.page import hole_results
from git_copilot.assistant.refresh.promotion import decide, is_harmful
from git_copilot.assistant.refresh.run_state import RefreshRun
from git_copilot.assistant.refresh.start import Start
from git_copilot.assistant.refresh.strength import Strength
from git_copilot.assistant.refresh.unfinished import Trained


def report_refresh(
    run: RefreshRun,
    start: Start,
    names: tuple[str, str | None],
    held: Sequence[Example],
    arms: tuple[JudgedArm, JudgedArm | None, JudgedArm],
    made: tuple[Trained, Strength],
) -> RefreshReport:
    """Decide about the promotion and report everything.

    :param names: the ids of the candidate and of the adapter in use.
    :param held: the holes that all arms were judged by, in the order of judging.
    :param arms: base model, adapter in use, and candidate; the first scores of each count.
    :param made: how the candidate was trained, and the strength that was chosen for it.
    """
    trained, strength = made
    settings, recipe, count = run.context.settings, run.recipe, len(held)
    base, candidate = (arm.scores[:count] for arm in (arms[0], arms[2]))
    old = arms[1].scores[:count] if arms[1] else None
    regression = check_regression(arms[0].guard, arms[2].guard)
    decision = decide(base, old, candidate, guard_passed=regression.passed, seed=recipe.seed)
    judged = {example.hole for example in held}
    incumbent = ArmScores(summarise(old)) if old else None
    evaluation = EvaluationReport(
        candidate=names[0],
        incumbent=names[1],
        base_model=settings.model,
        held_out=HoleSet.of([hole for hole in start.split.held_out if hole in judged]),
        copies_dropped=trained.copies,
        arms=ArmsReport.of(ArmScores(summarise(base)), incumbent, ArmScores(summarise(candidate))),
        comparison=decision.comparison,
        seed=recipe.seed,
        settings=EvaluationSettings.of(settings),
        seconds=run.clock.elapsed(),
        results=hole_results(
            held,
            {
                BASE: arms[0].found[:count],
                **({IN_USE: arms[1].found[:count]} if arms[1] else {}),
                ADAPTER: arms[2].found[:count],
            },
        ),
    )
    plan = start.state.plan
    return RefreshReport(
        evaluation=evaluation,
        train=trained.holes,
        duplicates_dropped=trained.duplicates,
        regression=regression,
        promoted=decision.promoted,
        reason=decision.reason,
        recipe=run.recipe_for(trained.holes.count, start.state.plan),
        started_from=run.warm.adapter if run.warm else None,
        strength=strength.to_json(),
        retired=old is not None and not decision.promoted and is_harmful(base, old, recipe.seed),
        preset=settings.refresh_preset,
        training_share=TRAINING_SHARE,
        training=trained.report,
        plan=plan.to_json() if plan else None,
    )
