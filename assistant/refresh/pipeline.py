"""One refresh: split the corpus by time, train, judge on later commits, promote what wins."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import FILE as HOLES_FILE
from git_copilot.assistant.adapters.provenance import write_training_holes
from git_copilot.assistant.adapters.removal import prune
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.progress import duration
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.report import HoleSet, RefreshReport
from git_copilot.assistant.evaluation.score_store import ScoreStore
from git_copilot.assistant.evaluation.stored_scoring import base_identity
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.refresh.incumbent import adapter_in_use
from git_copilot.assistant.refresh.judging import Judge, JudgedArm, Until
from git_copilot.assistant.refresh.outcome import report_refresh
from git_copilot.assistant.refresh.page import refresh_page
from git_copilot.assistant.refresh.plan import JUDGING_SHARE, PLANNED_SHARE, judged_in_share
from git_copilot.assistant.refresh.preparation import TrainingSet, Wanted, prepare, update_corpus
from git_copilot.assistant.refresh.run_clock import RunClock, TooLittleTime
from git_copilot.assistant.refresh.run_state import CANDIDATE, LOCK, RefreshRun
from git_copilot.assistant.refresh.schedule import record_refresh
from git_copilot.assistant.refresh.start import Start, begin
from git_copilot.assistant.refresh.strength import choose_strength, choosing_commits
from git_copilot.assistant.refresh.unfinished import FILE as UNFINISHED
from git_copilot.assistant.refresh.unfinished import Trained, Unfinished
from git_copilot.assistant.training.trainer import TrainReport, train_adapter
from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.files import file_lock, os_errors

# Parts of the time limit: by when the base model and the adapter in use must be judged, by when
# the candidate, if a decision is possible, and when judging stops whatever is judged.
BEFORE_TRAINING, JUDGED, LAST = 0.6, 1.02, 1.1
# An arm may take this much longer than planned, and holes to learn from this part of the time for
# training.
JUDGING_SLACK, PREPARING_PART = 1.25, 0.5
# Choosing the strength of the candidate may take this part of what is left to judge it.
CHOOSING_PART = 0.4
# Training gets at least this part of the limit.
LEAST_TRAINING = 0.05


def run_refresh(
    context: RepositoryContext,
    *,
    clock: RunClock | None = None,
    folder: Path | None = None,
    max_holes: int | None = None,
    held_out_holes: int | None = None,
    seed: int | None = None,
    force: bool = False,
) -> RefreshReport:
    """Train a candidate on older commits, evaluate it on newer ones, and promote it if it wins.

    A run that was killed, interrupted or out of time is continued by the next one.

    :param context: with its embedder and vectors.
    :param clock: of the whole run, with its time limit; by default one without, which starts now.
    :param folder: the base model's, where the caller knows it.
    :param max_holes: to learn from, instead of ``settings.refresh_holes``.
    :param held_out_holes: to evaluate on, instead of a fifth and at most :data:`HELD_OUT_HOLES`.
    :param seed: instead of ``settings.seed``.
    :param force: also learn from fewer holes than are sensible; promotion asks for no less.
    :return: the report that is stored with the candidate.
    :raises TooLittleTime: the time limit allows no decision, or ran out before one.
    :raises CopilotError: another refresh runs, there are too few holes to learn from, the model is
        not here or does not fit into memory, or the disk is full.
    """
    clock = clock or RunClock.start()
    if seed is not None:
        context = replace(context, settings=replace(context.settings, seed=seed))
    folder = folder or resolve_model(context.settings.model)  # before anything that takes long
    lock = adapter_store.adapters_dir(context.state_dir) / LOCK
    with file_lock(lock, "another refresh of this repository is running"):
        update_corpus(replace(context, progress=clock.bounded(context.progress)))
        wanted = Wanted.of(context.settings, max_holes, held_out_holes, force=force)
        incumbent = adapter_in_use(context)
        return _Refresh(RefreshRun.of(context, folder, clock, incumbent), wanted, incumbent).run()


class _Refresh:
    """The steps of one refresh, in their order."""

    def __init__(self, run: RefreshRun, wanted: Wanted, incumbent: str | None) -> None:
        self._run, self._context, self._clock = run, run.context, run.clock
        self._incumbent = incumbent
        self._start: Start = begin(run, wanted, self._incumbent)
        self._arms = 2 if self._incumbent is None else 3

    @property
    def _state(self) -> Unfinished:
        return self._start.state

    def run(self) -> RefreshReport:
        """All steps."""
        trained, start, run = self._state.trained, self._start, self._run
        held, training = prepare(
            run,
            start.commits,
            start.split.held_out,
            0 if trained else self._state.wanted.learn,
            until=self._until_prepared(),
        )
        fixed = run.preset.strength
        commits = frozenset() if fixed else choosing_commits([example.hole for example in held])
        choosing = [example for example in held if example.hole.commit in commits]
        judge = self._judge([example for example in held if example.hole.commit not in commits])
        base, old = self._judge_known(judge)
        if trained is None:
            trained = self._train(training, judge, base, len(choosing))
        now = self._clock.elapsed()
        last = now + CHOOSING_PART * (self._at(JUDGED) - now)
        strength = choose_strength(judge, run.work / CANDIDATE, choosing, Until(last, last), fixed)
        candidate = self._judge_candidate(judge, base)
        judge.limit(len(candidate.found))
        identity = adapter_store.new_id()
        report = report_refresh(
            run,
            start,
            (identity, self._incumbent),
            judge.held,
            (base, old, candidate),
            (trained, strength),
        )
        self._store(identity, report)
        return report

    def _judge(self, held: list[Example]) -> Judge:
        run = self._run
        return Judge(
            run.evaluator,
            self._context.settings,
            base_identity(self._context.settings.model, run.folder),
            held,
            self._start.guard,
            ScoreStore(run.work),
            self._clock,
            self._context.progress,
        )

    def _judge_known(self, judge: Judge) -> tuple[JudgedArm, JudgedArm | None]:
        """Judge the base model and the adapter in use."""
        begun = self._clock.elapsed()
        base = judge.judge(
            None, "base model", self._until_known(), arm=self._start.take_arm(), guard=True
        )
        self._require_enough(judge, base, "the base model")
        judge.limit(len(base.found))
        old = None
        if self._incumbent is not None:
            path = adapter_store.adapter_path(self._context.state_dir, self._incumbent)
            old = judge.judge(path, "adapter in use", self._until_known(), drafts=base)
            self._require_enough(judge, old, "the adapter in use")
            judge.limit(len(old.found))
        self._keep_to_share(judge, base, self._clock.elapsed() - begun)
        return base, old

    def _keep_to_share(self, judge: Judge, base: JudgedArm, spent: float) -> None:
        """Where judging took longer than planned, judge the candidate by fewer holes.

        :param spent: seconds of judging so far.
        """
        if self._clock.limit is not None:
            count = judged_in_share(self._clock.limit, spent, base.seconds, len(judge.held))
            judge.limit(next(n for n in range(count, len(judge.held) + 1) if judge.is_enough(n)))

    def _judge_candidate(self, judge: Judge, base: JudgedArm) -> JudgedArm:
        until = Until(self._at(JUDGED), self._at(LAST))
        path = self._run.work / CANDIDATE
        try:
            arm = judge.judge(path, "candidate", until, drafts=base, against=base, guard=True)
        except ModelError:
            # What cannot be loaded must not be tried again by every later refresh.
            (self._run.work / UNFINISHED).unlink(missing_ok=True)
            raise
        self._require_enough(judge, arm, "the candidate")
        return arm

    def _require_enough(self, judge: Judge, arm: JudgedArm, name: str) -> None:
        if not judge.is_enough(len(arm.found)):
            raise TooLittleTime(
                f"after {duration(self._clock.elapsed())} {name} was judged by only"
                f" {len(arm.found)} of {len(judge.held)} holes: the machine became slower",
                "run `git copilot refresh` again: it continues from here",
            )

    def _at(self, share: float) -> float:
        """The second of the run at which ``share`` of its limit has passed."""
        return math.inf if self._clock.limit is None else self._clock.limit * share

    def _until_prepared(self) -> float:
        plan = self._state.plan
        if plan is None or self._clock.limit is None:
            return math.inf
        return self._at(PLANNED_SHARE) - plan.judging - PREPARING_PART * plan.training

    def _until_known(self) -> Until:
        return Until(
            self._clock.elapsed() + JUDGING_SLACK * self._planned_judging(),
            self._at(BEFORE_TRAINING),
        )

    def _planned_judging(self) -> float:
        """Seconds of one arm."""
        plan = self._state.plan
        limited = plan is not None and self._clock.limit is not None
        return plan.judging / self._arms if plan is not None and limited else math.inf

    def _train(
        self, training: TrainingSet, judge: Judge, base: JudgedArm, choosing: int
    ) -> Trained:
        context, run = self._context, self._run
        seconds = math.inf
        if self._clock.limit is not None:
            # What the base model took is the best guess for the candidate.
            expected = base.seconds * (len(judge.held) + 2 * choosing) / len(base.found)
            reserve = max(expected, min(self._planned_judging(), self._at(1 / 6)))
            # Of a busy moment it says too much, and a candidate without training is worth nothing.
            reserve = min(reserve, self._at(JUDGING_SHARE))
            seconds = max(self._clock.left() - reserve, self._at(LEAST_TRAINING))
        with os_errors(run.work):
            report = train_adapter(
                run.evaluator.load_for_training(),
                training.examples,
                run.recipe_for(len(training.examples), self._state.plan),
                model_name=context.settings.model,
                work=run.work,
                seconds=seconds,
                start=run.warm.folder if run.warm else None,
                progress=context.progress,
                clock=self._clock.now,
            )
            self._write_training_holes(training)
        self._tell(report)
        holes = HoleSet.of([e.hole for e in training.examples])
        trained = Trained(report, holes, training.copies, training.duplicates)
        replace(self._state, trained=trained).save(run.work)
        return trained

    def _tell(self, report: TrainReport) -> None:
        note = self._context.note
        if report.resumed_at:
            note(f"training resumed after step {report.resumed_at} of an interrupted refresh")
        if report.stopped:
            note(f"the time ran out after {report.steps} of {report.planned_steps} steps")

    def _write_training_holes(self, training: TrainingSet) -> None:
        folder = self._run.work / CANDIDATE
        commits = dict.fromkeys(e.hole.commit for e in training.examples)
        text = "".join(f"{oid}\n" for oid in commits)
        (folder / adapter_store.COMMITS).write_text(text, "utf-8")
        write_training_holes(folder, (e.hole for e in training.examples))

    def _store(self, identity: str, report: RefreshReport) -> None:
        """Add the candidate to the adapters, and use it if it won."""
        state, work = self._context.state_dir, self._run.work
        page = refresh_page(report, self._context.repo.name)

        def fill(folder: Path) -> None:
            _fill(work / CANDIDATE, folder)
            if page is not None:
                (folder / adapter_store.PAGE).write_text(page, "utf-8")

        adapter_store.create(state, identity, fill, report.to_json())
        if report.promoted:
            adapter_store.use(state, identity)
        elif report.retired:
            adapter_store.use(state, None)
        # From here on the checkpoint would only repeat what is stored.
        shutil.rmtree(work, ignore_errors=True)
        record_refresh(self._context.repo, self._state.head)
        prune(state)


def _fill(candidate: Path, folder: Path) -> None:
    names = (adapter_store.CONFIG, adapter_store.WEIGHTS, adapter_store.COMMITS, HOLES_FILE)
    for name in names:
        shutil.copyfile(candidate / name, folder / name)
