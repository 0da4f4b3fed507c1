"""One refresh: split the corpus by time, train, judge on what came later, promote what wins."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import write_learnt
from git_copilot.assistant.core.config import Settings
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
from git_copilot.assistant.dataset.split import HELD_OUT_HOLES, Split, commit_span, split_holes
from git_copilot.assistant.evaluation import report as evidence
from git_copilot.assistant.evaluation.arms import Arm, Judge
from git_copilot.assistant.evaluation.eval_run import run_eval
from git_copilot.assistant.evaluation.regression_check import verdict
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.refresh.promotion import decide
from git_copilot.assistant.refresh.run_state import LOCK, Note, RefreshRun, RefreshTools
from git_copilot.assistant.refresh.schedule import record_refresh, refresh_due
from git_copilot.assistant.training.trainer import TrainReport, train_adapter
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import file_lock, os_errors
from git_copilot.index.core.types import Embedder, Hole, Progress, no_progress
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.survival import update_survival
from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.history import list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database

__all__ = ["refresh_due", "run_eval", "run_refresh"]

# However short the time, so much is spent on learning.
MIN_TRAINING_SECONDS = 30.0


def run_refresh(
    repo: GitRepository,
    db: Database,
    settings: Settings,
    *,
    embedder: Embedder | None,
    vectors: VectorIndex | None,
    seconds: float | None = None,
    max_holes: int | None = None,
    held_out_holes: int | None = None,
    seed: int | None = None,
    force: bool = False,
    progress: Progress = no_progress,
    on_note: Note = lambda text: None,
) -> dict[str, Any]:
    """Train a candidate on older commits, judge it on newer ones, and promote it if it wins.

    A run that was killed or interrupted while training continues where it was.

    :param seconds: for everything; training gets what judging leaves, but at least
        :data:`MIN_TRAINING_SECONDS`.
    :param max_holes: to learn from, instead of ``settings.refresh_holes``.
    :param held_out_holes: to judge by, instead of a fifth and at most :data:`HELD_OUT_HOLES`.
    :param force: also learn from fewer holes than are sensible; promotion asks for no less.
    :return: the evidence, as it is stored with the candidate.
    :raises CopilotError: another refresh runs, there is too little to learn from, the model is
        not here or does not fit into memory, or the disk is full.
    """
    begun = time.monotonic()
    resolve_model(settings.model)  # before anything that takes long
    if seed is not None:
        settings = replace(settings, seed=seed)
    lock = adapter_store.adapters_dir(repo.state_dir) / LOCK
    with file_lock(lock, "another refresh of this repository is running"):
        mine(repo, db, limit=settings.history_commits, progress=progress)
        update_survival(repo, db, limit=settings.history_commits, progress=progress)
        commits = _history(repo, settings)
        split = split_holes(
            load_holes(db, commits),
            commits=len(commits),
            max_train=max_holes or settings.refresh_holes,
            max_held_out=held_out_holes or HELD_OUT_HOLES,
            exact=held_out_holes is not None,
            force=force,
        )
        older, tree = before_held_out(repo, commits, split.held_out)
        most = max_holes or settings.refresh_holes
        weights = training_holes(repo, db, settings, older, tree, most=most)
        tools = RefreshTools(repo, db, settings, embedder, vectors, progress, on_note, begun)
        return _train_and_judge(_prepare(tools, split, weights), seconds)


def _prepare(tools: RefreshTools, split: Split, weights: Mapping[Hole, float]) -> RefreshRun:
    """Read, retrieve for and render every hole; drop duplicates and copies of what is held out."""
    repo, settings = tools.repo, tools.settings
    folder = resolve_model(settings.model)
    tokenizer = TextTokenizer.load(folder, settings.model)
    judge = Judge(folder, settings, tokenizer, tools.progress)
    held_cuts = read_cuts(repo, split.held_out)
    train_cuts = at_fim_rate(read_cuts(repo, list(weights)), settings.seed)
    train_cuts, copies = drop_copies(train_cuts, held_cuts)
    train_cuts, duplicates = drop_duplicates(train_cuts)
    hits = retrieve(
        repo,
        tools.db,
        [*held_cuts, *train_cuts],
        settings,
        embedder=tools.embedder,
        vectors=tools.vectors,
        judged=len(held_cuts),
        progress=tools.progress,
    )
    examples = training_examples(
        tokenizer,
        train_cuts,
        hits[len(held_cuts) :],
        serving_budget(settings, TRAINING_SHARE),
        repo.name,
        settings.seed,
    )
    held = judge.hold(held_cuts, hits[: len(held_cuts)], repo.name)
    examples, showing = drop_showing(examples, held_cuts, tokenizer)
    examples = [replace(e, weight=weights[e.hole]) for e in examples if e.size <= judge.longest]
    if not examples or not held.plain:
        raise CopilotError(
            "no hole is left to learn from: all are copies of held-out ones, or too long",
            "commit more code",
        )
    return RefreshRun(tools, examples, copies + showing, duplicates, held, judge)


def _history(repo: GitRepository, settings: Settings) -> list[str]:
    """The commits of HEAD's history, newest first."""
    tip = repo.head_commit()
    if tip is None:
        raise CopilotError("there is no commit to learn from yet", "commit something first")
    return [c.oid for c in list_commits(repo, tip, limit=settings.history_commits)]


def _train_and_judge(run: RefreshRun, seconds: float | None) -> dict[str, Any]:
    """Measure what is in use, train, measure the candidate, decide, and store all of it."""
    state = run.state
    incumbent = _incumbent(state, run.tools.settings, run.tools.note)
    before = run.tools.clock()
    base = run.judge.arm(run.held, None, "base model", guard=True)
    per_arm = run.tools.clock() - before
    old = None
    if incumbent is not None:
        path = adapter_store.adapter_path(state, incumbent)
        old = run.judge.arm(run.held, path, "adapter in use")
    if seconds is not None:
        seconds = max(MIN_TRAINING_SECONDS, seconds - run.tools.clock() - per_arm)
    report = _train(run, seconds)
    candidate = run.judge.arm(run.held, run.work / "candidate", "candidate", guard=True)
    identity = adapter_store.new_id()
    facts = _evidence(run, identity, incumbent, (base, old, candidate), report)
    adapter_store.create(state, identity, lambda folder: _fill(run, folder), facts)
    if facts["promoted"]:
        adapter_store.use(state, identity)
    # From here on the checkpoint would only repeat what is stored.
    shutil.rmtree(run.work, ignore_errors=True)
    record_refresh(run.tools.repo)
    adapter_store.prune(state)
    return facts


def _train(run: RefreshRun, seconds: float | None) -> TrainReport:
    with os_errors(run.work):
        report = train_adapter(
            run.judge.load(None),
            run.examples,
            run.recipe,
            model_name=run.tools.settings.model,
            work=run.work,
            seconds=seconds,
            progress=run.tools.progress,
        )
    if report.resumed_at:
        run.tools.note(f"training went on after step {report.resumed_at} of an interrupted refresh")
    if report.stopped:
        run.tools.note(f"the time ran out after {report.steps} of {report.planned_steps} steps")
    return report


def _evidence(
    run: RefreshRun,
    identity: str,
    incumbent: str | None,
    arms: tuple[Arm, Arm | None, Arm],
    report: TrainReport,
) -> dict[str, Any]:
    base, old, candidate = arms
    guard = verdict(base.guard, candidate.guard)
    decision = decide(
        base.retrieval,
        old.retrieval if old else None,
        candidate.retrieval,
        guard_passed=bool(guard["passed"]),
        seed=run.recipe.seed,
    )
    return {
        "candidate": identity,
        "incumbent": incumbent,
        "base_model": run.tools.settings.model,
        "commits": {
            "train": commit_span([e.hole for e in run.examples]),
            "held_out": commit_span([e.hole for e in run.held.plain]),
        },
        "holes": {"train": len(run.examples), "held_out": len(run.held.plain)},
        "copies_dropped": run.copies,
        "duplicates_dropped": run.duplicates,
        "arms": evidence.arms(*arms),
        **evidence.statistics(decision.comparison),
        "regression_guard": guard,
        "promoted": decision.promoted,
        "reason": decision.reason,
        "seed": run.recipe.seed,
        "settings": evidence.settings_shown(
            run.tools.settings, recipe=asdict(run.recipe), training_share=TRAINING_SHARE
        ),
        "training": asdict(report),
        "seconds": round(run.tools.clock(), 1),
    }


def _fill(run: RefreshRun, folder: Path) -> None:
    for name in (adapter_store.CONFIG, adapter_store.WEIGHTS):
        shutil.copyfile(run.work / "candidate" / name, folder / name)
    commits = dict.fromkeys(e.hole.commit for e in run.examples)
    (folder / adapter_store.COMMITS).write_text("".join(f"{oid}\n" for oid in commits), "utf-8")
    write_learnt(folder, (e.hole for e in run.examples))


def _incumbent(state: Path, settings: Settings, note: Note) -> str | None:
    """The adapter in use, if it was made for the model that is trained."""
    warning = adapter_store.current_warning(state)
    if warning is not None:
        note(f"no adapter to compare with: {warning}")
    current = adapter_store.current_adapter(state)
    if current is None or adapter_store.base_model(state, current) == settings.model:
        return current
    note(f"the adapter {current} was trained for another model and is not compared with")
    return None
