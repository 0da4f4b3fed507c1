"""The reports of an evaluation and of a refresh, in the form that scripts rely on. Pure.

``to_json`` gives the objects of ``eval --json``, ``refresh --json`` and ``evidence.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.leakage import DuplicateCounts, KnownHoles
from git_copilot.assistant.dataset.split import commit_span
from git_copilot.assistant.evaluation.arm_figures import FigureMaker, compare_saved
from git_copilot.assistant.evaluation.hole_results import ADAPTER, HoleResult
from git_copilot.assistant.evaluation.metrics import NOT_MEASURED, Comparison, ScoreSummary
from git_copilot.assistant.evaluation.regression_check import RegressionCheck
from git_copilot.assistant.training.batches import TrainingRecipe
from git_copilot.assistant.training.trainer import TrainReport
from git_copilot.index.core.types import Hole


@dataclass(frozen=True, slots=True)
class ArmScores:
    """The mean scores of one arm; a refresh does not measure it without retrieval."""

    with_retrieval: ScoreSummary
    without_retrieval: ScoreSummary = NOT_MEASURED

    def to_json(self) -> dict[str, Any]:
        """``em``, ``es`` and ``nll`` are with retrieval."""
        return {
            **self.with_retrieval.to_json(),
            "with_retrieval": self.with_retrieval.to_json(),
            "without_retrieval": self.without_retrieval.to_json(),
        }


@dataclass(frozen=True, slots=True)
class ArmsReport:
    """The three arms; without an incumbent that arm is the base, without a candidate that arm is
    the incumbent."""

    base: ArmScores
    incumbent: ArmScores
    candidate: ArmScores

    @classmethod
    def of(cls, base: ArmScores, incumbent: ArmScores | None, candidate: ArmScores | None) -> Self:
        return cls(base, incumbent or base, candidate or incumbent or base)

    def named(self) -> dict[str, ArmScores]:
        """The arms by name, in the order of the report."""
        return {"base": self.base, "incumbent": self.incumbent, "candidate": self.candidate}

    def to_json(self) -> dict[str, Any]:
        return {name: arm.to_json() for name, arm in self.named().items()}


@dataclass(frozen=True, slots=True)
class HoleSet:
    """How many holes, and their ``[oldest, newest]`` commits."""

    count: int
    commits: tuple[str, ...]

    @classmethod
    def of(cls, holes: Sequence[Hole]) -> Self:
        """:param holes: newest first."""
        return cls(len(holes), tuple(commit_span(holes)))


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The settings that scores depend on."""

    prompt_tokens: int
    context_tokens: int
    suffix_tokens: int
    snippets: int
    max_tokens: int
    copying: bool
    alternatives: int
    evaluation_form: str
    embedder: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(*(getattr(settings, name) for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class ControlReport:
    """An adapter made elsewhere: its mean scores with retrieval, and the candidate minus it."""

    name: str
    scores: ScoreSummary
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **self.scores.to_json(), **self.comparison.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """How the arms did on held-out holes.

    ``comparison`` is of the candidate with the base model, in a refresh with the incumbent if there
    is one.
    Adapters are named by their ids; ``seconds`` is wall time; ``controls`` are adapters made
    elsewhere. ``results`` are what each arm wrote, where that was kept; ``dropped`` tells for what
    reason the ``copies_dropped`` were, in an evaluation.
    """

    candidate: str | None
    incumbent: str | None
    base_model: str
    held_out: HoleSet
    copies_dropped: int
    arms: ArmsReport
    comparison: Comparison
    seed: int
    settings: EvaluationSettings
    seconds: float
    controls: tuple[ControlReport, ...] = ()
    results: tuple[HoleResult, ...] = ()
    dropped: KnownHoles | None = None

    def to_json(self) -> dict[str, Any]:
        figures = FigureMaker(self.results)
        arms = self.results[0].answers if self.results else ()
        return {
            "candidate": self.candidate,
            "incumbent": self.incumbent,
            "base_model": self.base_model,
            "commits": {"held_out": list(self.held_out.commits)},
            "holes": {"held_out": self.held_out.count},
            "copies_dropped": self.copies_dropped,
            "dropped": asdict(self.dropped) if self.dropped else None,
            "arms": self.arms.to_json(),
            **self.comparison.to_json(),
            "controls": [control.to_json() for control in self.controls],
            "figures": {name: figures.of(name).to_json() for name in arms},
            "saved_by_adapter": self._saved(),
            "seed": self.seed,
            "settings": asdict(self.settings),
            "seconds": round(self.seconds, 1),
        }

    def _saved(self) -> dict[str, Any]:
        """By how many points the adapter with retrieval saves more characters than each other arm."""
        arms = self.results[0].answers if self.results else ()
        if ADAPTER not in arms:
            return {}
        found = {
            name: compare_saved(self.results, name, ADAPTER, self.seed)
            for name in arms
            if name != ADAPTER
        }
        return {
            name: {"delta": round(each.value, 4), "ci95": each.ends()}
            for name, each in found.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshReport:
    """An evaluation with the training before it and the decision after it. ``plan`` is what was
    planned for a time limit, ``None`` without one; ``started_from`` the adapter that training went
    on from, ``None``: a new one; ``retired``: the adapter that was in use is worse than the base
    model, and is no longer used. ``strength`` is the scale at which the candidate acts, and how it
    was chosen; ``preset`` names the recipe."""

    evaluation: EvaluationReport
    train: HoleSet
    duplicates_dropped: DuplicateCounts
    regression: RegressionCheck
    promoted: bool
    reason: str
    recipe: TrainingRecipe
    training_share: float
    training: TrainReport
    plan: dict[str, Any] | None = None
    started_from: str | None = None
    retired: bool = False
    strength: dict[str, Any] = field(default_factory=dict)
    preset: str = ""

    @property
    def verdict(self) -> str:
        """The decision in a sentence."""
        if not self.retired:
            return self.reason
        gone = (
            f"the adapter {self.evaluation.incumbent} completes later commits worse than the base"
        )
        return f"{self.reason}; {gone} model and is no longer used"

    def to_json(self) -> dict[str, Any]:
        measured = self.evaluation
        return {
            "candidate": measured.candidate,
            "incumbent": measured.incumbent,
            "base_model": measured.base_model,
            "commits": {
                "train": list(self.train.commits),
                "held_out": list(measured.held_out.commits),
            },
            "holes": {"train": self.train.count, "held_out": measured.held_out.count},
            "copies_dropped": measured.copies_dropped,
            "duplicates_dropped": asdict(self.duplicates_dropped),
            "arms": measured.arms.to_json(),
            **measured.comparison.to_json(),
            "regression_guard": asdict(self.regression),
            "promoted": self.promoted,
            "reason": self.reason,
            "retired": self.retired,
            "strength": self.strength,
            "started_from": self.started_from,
            "seed": measured.seed,
            "settings": {
                **asdict(measured.settings),
                "recipe": asdict(self.recipe),
                "preset": self.preset,
                "training_share": self.training_share,
            },
            "training": asdict(self.training),
            "plan": self.plan,
            "seconds": round(measured.seconds, 1),
        }
