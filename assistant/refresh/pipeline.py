"""One refresh: split the corpus by time, train, evaluate on later commits, promote what wins."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import write_training_holes
from git_copilot.assistant.context.catch_up import mine_commits
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.examples import (
    TRAINING_SHARE,
    read_cuts,
    retrieve,
    serving_budget,
    training_examples,
)
from git_copilot.assistant.dataset.hole_selection import (
    at_fim_rate,
    before_held_out,
    training_holes,
)
from git_copilot.assistant.dataset.leakage import (
    drop_copies,
    drop_duplicates,
    drop_showing,
)
from git_copilot.assistant.dataset.split import HELD_OUT_HOLES, Split, split_holes
from git_copilot.assistant.evaluation.arms import Arm, ArmEvaluator
from git_copilot.assistant.evaluation.regression_check import check_regression
from git_copilot.assistant.evaluation.report import (
    ArmsReport,
    EvaluationReport,
    EvaluationSettings,
    HoleSet,
    RefreshReport,
)
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.refresh.promotion import decide
from git_copilot.assistant.refresh.run_state import LOCK, RefreshRun
from git_copilot.assistant.refresh.schedule import record_refresh
from git_copilot.assistant.training.trainer import TrainReport, train_adapter
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import file_lock, os_errors
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import load_holes
from git_copilot.index.corpus.survival import update_survival
from git_copilot.index.git.history import list_commits

# Training gets at least this, however short the time is.
MIN_TRAINING_SECONDS = 30.0


def run_refresh(
    context: RepositoryContext,
    *,
    seconds: float | None = None,
    max_holes: int | None = None,
    held_out_holes: int | None = None,
    seed: int | None = None,
    force: bool = False,
) -> RefreshReport:
    """Train a candidate on older commits, evaluate it on newer ones, and promote it if it wins.

    A run that was killed or interrupted while training resumes from its last checkpoint.

    :param context: with its embedder and vectors.
    :param seconds: for everything; training gets what evaluation leaves, but at least
        :data:`MIN_TRAINING_SECONDS`.
    :param max_holes: to learn from, instead of ``settings.refresh_holes``.
    :param held_out_holes: to evaluate on, instead of a fifth and at most :data:`HELD_OUT_HOLES`.
    :param seed: instead of ``settings.seed``.
    :param force: also learn from fewer holes than are sensible; promotion asks for no less.
    :return: the report that is stored with the candidate.
    :raises CopilotError: another refresh runs, there are too few holes to learn from, the model is
        not here or does not fit into memory, or the disk is full.
    """
    begun = time.monotonic()
    if seed is not None:
        context = replace(context, settings=replace(context.settings, seed=seed))
    repo, db, settings = context.repo, context.db, context.settings
    folder = resolve_model(settings.model)  # before anything that takes long
    lock = adapter_store.adapters_dir(repo.state_dir) / LOCK
    with file_lock(lock, "another refresh of this repository is running"):
        mine_commits(context)
        update_survival(repo, db, limit=settings.history_commits, progress=context.progress)
        commits = _history(context)
        most = max_holes or settings.refresh_holes
        split = split_holes(
            load_holes(db, commits),
            commits=len(commits),
            max_train=most,
            max_held_out=held_out_holes or HELD_OUT_HOLES,
            exact=held_out_holes is not None,
            force=force,
        )
        older, tree = before_held_out(repo, commits, split.held_out)
        weights = training_holes(repo, db, settings, older, tree, most=most)
        return _train_and_evaluate(_prepare(context, folder, split, weights, begun), seconds)


def _prepare(
    context: RepositoryContext,
    folder: Path,
    split: Split,
    weights: Mapping[Hole, float],
    begun: float,
) -> RefreshRun:
    """Read, retrieve for and render every hole; drop duplicates and copies of held-out holes.

    :param folder: the base model's.
    """
    repo, settings = context.repo, context.settings
    tokenizer = TextTokenizer.load(folder, settings.model)
    evaluator = ArmEvaluator(folder, settings, tokenizer, context.progress)
    held_cuts = read_cuts(repo, split.held_out)
    train_cuts = at_fim_rate(read_cuts(repo, list(weights)), settings.seed)
    train_cuts, copies = drop_copies(train_cuts, held_cuts)
    train_cuts, duplicates = drop_duplicates(train_cuts)
    hits = retrieve(context, [*held_cuts, *train_cuts], held_out=len(held_cuts))
    examples = training_examples(
        tokenizer,
        train_cuts,
        hits[len(held_cuts) :],
        serving_budget(settings, TRAINING_SHARE),
        repo.name,
        settings.seed,
    )
    held = evaluator.render_held_out(held_cuts, hits[: len(held_cuts)], repo.name)
    examples, showing = drop_showing(examples, held_cuts, tokenizer)
    examples = [replace(e, weight=weights[e.hole]) for e in examples if e.size <= evaluator.longest]
    if not examples or not held.plain:
        raise CopilotError(
            "no hole is left to learn from: all are copies of held-out ones, or too long",
            "commit more code",
        )
    return RefreshRun(context, begun, examples, copies + showing, duplicates, held, evaluator)


def _history(context: RepositoryContext) -> list[str]:
    """The commits of HEAD's history, newest first."""
    tip = context.repo.head_commit()
    if tip is None:
        raise CopilotError("the history has no commit to learn from", "commit something first")
    limit = context.settings.history_commits
    return [c.oid for c in list_commits(context.repo, tip, limit=limit)]


def _train_and_evaluate(run: RefreshRun, seconds: float | None) -> RefreshReport:
    """Evaluate the base and the adapter in use, train, evaluate the candidate, decide, and store
    everything."""
    state, evaluator = run.context.state_dir, run.evaluator
    incumbent = _incumbent(run.context)
    before = run.elapsed()
    base = evaluator.evaluate_arm(run.held, None, "base model", guard=True)
    per_arm = run.elapsed() - before
    old = None
    if incumbent is not None:
        path = adapter_store.adapter_path(state, incumbent)
        old = evaluator.evaluate_arm(run.held, path, "adapter in use")
    if seconds is not None:
        seconds = max(MIN_TRAINING_SECONDS, seconds - run.elapsed() - per_arm)
    trained = _train(run, seconds)
    candidate = evaluator.evaluate_arm(run.held, run.work / "candidate", "candidate", guard=True)
    identity = adapter_store.new_id()
    report = _report(run, (identity, incumbent), (base, old, candidate), trained)
    adapter_store.create(state, identity, lambda folder: _fill(run, folder), report.to_json())
    if report.promoted:
        adapter_store.use(state, identity)
    # From here on the checkpoint would only repeat what is stored.
    shutil.rmtree(run.work, ignore_errors=True)
    record_refresh(run.context.repo)
    adapter_store.prune(state)
    return report


def _train(run: RefreshRun, seconds: float | None) -> TrainReport:
    context = run.context
    with os_errors(run.work):
        report = train_adapter(
            run.evaluator.load(None),
            run.examples,
            run.recipe,
            model_name=context.settings.model,
            work=run.work,
            seconds=seconds,
            progress=context.progress,
        )
    if report.resumed_at:
        context.note(f"training resumed after step {report.resumed_at} of an interrupted refresh")
    if report.stopped:
        context.note(f"the time ran out after {report.steps} of {report.planned_steps} steps")
    return report


def _report(
    run: RefreshRun,
    names: tuple[str, str | None],
    arms: tuple[Arm, Arm | None, Arm],
    trained: TrainReport,
) -> RefreshReport:
    """Decide about the promotion and report everything.

    :param names: the ids of the candidate and the incumbent.
    :param arms: base, incumbent and candidate.
    """
    base, old, candidate = arms
    settings, recipe = run.context.settings, run.recipe
    regression = check_regression(base.guard, candidate.guard)
    decision = decide(
        base.retrieval,
        old.retrieval if old else None,
        candidate.retrieval,
        guard_passed=regression.passed,
        seed=recipe.seed,
    )
    evaluation = EvaluationReport(
        candidate=names[0],
        incumbent=names[1],
        base_model=settings.model,
        held_out=HoleSet.of([e.hole for e in run.held.plain]),
        copies_dropped=run.copies,
        arms=ArmsReport.of(base.scores(), old.scores() if old else None, candidate.scores()),
        comparison=decision.comparison,
        seed=recipe.seed,
        settings=EvaluationSettings.of(settings),
        seconds=run.elapsed(),
    )
    return RefreshReport(
        evaluation=evaluation,
        train=HoleSet.of([e.hole for e in run.examples]),
        duplicates_dropped=run.duplicates,
        regression=regression,
        promoted=decision.promoted,
        reason=decision.reason,
        recipe=recipe,
        training_share=TRAINING_SHARE,
        training=trained,
    )


def _fill(run: RefreshRun, folder: Path) -> None:
    for name in (adapter_store.CONFIG, adapter_store.WEIGHTS):
        shutil.copyfile(run.work / "candidate" / name, folder / name)
    commits = dict.fromkeys(e.hole.commit for e in run.examples)
    (folder / adapter_store.COMMITS).write_text("".join(f"{oid}\n" for oid in commits), "utf-8")
    write_training_holes(folder, (e.hole for e in run.examples))


def _incumbent(context: RepositoryContext) -> str | None:
    """The adapter in use, if it was made for the model that is trained."""
    state, model = context.state_dir, context.settings.model
    warning = adapter_store.current_warning(state)
    if warning is not None:
        context.note(f"no adapter to compare with: {warning}")
    current = adapter_store.current_adapter(state)
    if current is None or adapter_store.base_model(state, current) == model:
        return current
    context.note(f"the adapter {current} was trained for another model and is not compared")
    return None
