"""Judges the arms of a refresh hole by hole, within its time, and keeps what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.dataset.split import MIN_COMMITS, MIN_HOLES
from git_copilot.assistant.evaluation.arms import ArmEvaluator, LoadedArm
from git_copilot.assistant.evaluation.metrics import Score, middle_nll
from git_copilot.assistant.evaluation.regression_check import check_regression
from git_copilot.assistant.evaluation.score_store import ScoreStore, StoredScore
from git_copilot.assistant.evaluation.stored_scoring import StoredScoring, adapter_identity
from git_copilot.assistant.refresh.run_clock import RunClock
from git_copilot.index.core.types import Progress, no_progress


@dataclass(frozen=True, slots=True)
class JudgedArm:
    """The scores of one model on the first held-out holes, in the order of judging, and on the
    holes of the regression check; ``seconds`` is what measuring all of them takes, 0 where all
    were known before."""

    found: list[StoredScore]
    guard: list[Score] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def scores(self) -> list[Score]:
        return [stored.score for stored in self.found]


@dataclass(frozen=True, slots=True)
class Until:
    """When to stop judging, in seconds of the run: at ``enough`` if a decision is possible with
    what is judged by then, and at ``last`` whatever is judged."""

    enough: float
    last: float


class Judge:
    """Scores one model after the other on the same held-out holes."""

    def __init__(
        self,
        evaluator: ArmEvaluator,
        settings: Settings,
        base: str,
        held: Sequence[Example],
        guard: Sequence[Example],
        store: ScoreStore,
        clock: RunClock,
        progress: Progress = no_progress,
    ) -> None:
        """:param base: identifies the weights of the base model.
        :param held: the held-out holes, in the order of judging.
        """
        self._evaluator, self._settings, self._base = evaluator, settings, base
        self._held, self._guard = list(held), list(guard)
        self._store, self._clock, self._progress = store, clock, progress

    def limit(self, count: int) -> None:
        """Judge no more than the first ``count`` holes from here on."""
        del self._held[count:]

    @property
    def held(self) -> list[Example]:
        """The holes that are judged."""
        return self._held

    def is_enough(self, count: int) -> bool:
        """Whether a decision is possible by the first ``count`` holes, or no more are there."""
        commits = len({e.hole.commit for e in self._held[:count]})
        return count >= len(self._held) or (count >= MIN_HOLES and commits >= MIN_COMMITS)

    def judge(
        self,
        adapter: Path | None,
        name: str,
        until: Until,
        *,
        drafts: JudgedArm | None = None,
        against: JudgedArm | None = None,
        arm: LoadedArm | None = None,
        guard: bool = False,
    ) -> JudgedArm:
        """Score one model on as many holes as the time allows.

        :param adapter: its folder; ``None``: the base model.
        :param drafts: a model that may write the same, which makes decoding faster.
        :param against: the base model, for a candidate: where its scores exclude a promotion,
            because code is less likely than before, no completions are made.
        :param arm: the loaded model, where it is loaded already.
        :param guard: take the likelihood of the holes of the regression check first.
        :raises ModelError: the model cannot be loaded.
        """
        arm = arm or self._evaluator.load_arm(adapter)
        begun = self._clock.elapsed()
        scoring = self._scoring(arm, adapter, drafts)
        guarded = self._check_regressions(scoring, arm.batch, until) if guard else []
        safe = against is None or _is_safe(against, guarded)
        found: list[StoredScore] = []
        while len(found) < len(self._held):
            self._progress(f"evaluating the {name}", len(found), len(self._held))
            passed = self._clock.elapsed()
            if passed >= until.last or (passed >= until.enough and self.is_enough(len(found))):
                break
            hopeful = safe and not (len(found) >= MIN_HOLES and _is_worse(against, found))
            part = self._held[len(found) : len(found) + arm.batch]
            found += scoring.score(part, generate=hopeful, first=len(found))
        if safe and not _is_worse(against, found):
            self._complete(scoring, found, until)
        self._progress(f"evaluating the {name}", len(self._held), len(self._held))
        seconds = self._clock.elapsed() - begun
        seconds *= (len(found) + len(guarded)) / scoring.measured if scoring.measured else 0.0
        return JudgedArm(found, [stored.score for stored in guarded], seconds)

    def likelihoods(
        self, adapter: Path | None, examples: Sequence[Example], until: Until
    ) -> tuple[float, float] | None:
        """The mean negative log-likelihood of the middles of ``examples``, and of those of the
        regression check, in nats per token without the end; ``None`` where the time is over.

        :param adapter: its folder; ``None``: the base model.
        :raises ModelError: the model cannot be loaded.
        """
        arm = self._evaluator.load_arm(adapter)
        scoring = self._scoring(arm, adapter, None)
        found: list[StoredScore] = []
        for begin in range(0, len(examples), arm.batch):
            if self._clock.elapsed() >= until.enough:
                return None
            self._progress("evaluating the strength", begin, len(examples))
            found += scoring.score(examples[begin : begin + arm.batch], generate=False)
        outside = self._check_regressions(scoring, arm.batch, until)
        if len(outside) < len(self._guard):
            return None
        inside, others = ([stored.score for stored in part] for part in (found, outside))
        return middle_nll(inside), middle_nll(others) if others else 0.0

    def _scoring(
        self, arm: LoadedArm, adapter: Path | None, drafts: JudgedArm | None
    ) -> StoredScoring:
        return StoredScoring(
            arm,
            adapter_identity(self._base, adapter),
            self._settings,
            self._store,
            [stored.ids for stored in drafts.found] if drafts else (),
        )

    def _check_regressions(
        self, scoring: StoredScoring, batch: int, until: Until
    ) -> list[StoredScore]:
        """The likelihood of the holes of the regression check, of fewer where the time is over:
        then no held-out hole is judged either."""
        found: list[StoredScore] = []
        while len(found) < len(self._guard) and self._clock.elapsed() < until.last:
            self._progress("checking for regressions", len(found), len(self._guard))
            part = self._guard[len(found) : len(found) + batch]
            found += scoring.score(part, generate=False)
        return found

    def _complete(self, scoring: StoredScoring, found: list[StoredScore], until: Until) -> None:
        """Make the completions that were left out while the model seemed to be worse."""
        for i, stored in enumerate(found):
            if not stored.score.completed and self._clock.elapsed() < until.last:
                found[i : i + 1] = scoring.score([self._held[i]], generate=True, first=i)


def _is_safe(base: JudgedArm, guarded: Sequence[StoredScore]) -> bool:
    return check_regression(base.guard, [stored.score for stored in guarded]).passed


def _is_worse(base: JudgedArm | None, found: Sequence[StoredScore]) -> bool:
    """Whether the middles are less likely than by the base model, which excludes a promotion."""
    if base is None:
        return False
    pairs = zip(base.scores, found, strict=False)
    return sum(stored.score.nll - before.nll for before, stored in pairs) > 0


def guard_part(examples: Sequence[Example], count: int) -> list[Example]:
    """``count`` of the holes of the regression check, evenly from all."""
    count = min(count, len(examples))
    return [examples[i * len(examples) // count] for i in range(count)]
