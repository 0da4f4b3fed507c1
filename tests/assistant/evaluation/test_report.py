"""The JSON of reports is what scripts rely on, name by name and in this order."""

from __future__ import annotations

import dataclasses
import json
import math

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.leakage import DuplicateCounts, KnownHoles
from git_copilot.assistant.evaluation.metrics import Comparison, Interval, ScoreSummary
from git_copilot.assistant.evaluation.regression_check import RegressionCheck
from git_copilot.assistant.evaluation.report import (
    ArmScores,
    ArmsReport,
    EvaluationReport,
    EvaluationSettings,
    HoleSet,
    RefreshReport,
)
from git_copilot.assistant.training.batches import TrainingRecipe
from git_copilot.assistant.training.trainer import TrainReport
from git_copilot.index.core.types import Hole
from tests.assistant.adapters.test_adapter_store import fill

BASE = ArmScores(ScoreSummary(10.0, 20.0, 1.5), ScoreSummary(9.0, 19.0, 1.6))
BETTER = ArmScores(ScoreSummary(30.0, 40.0, 1.0), ScoreSummary(29.0, 39.0, 1.1))
WORDS = ("em", "es", "nll")


def arm(*values):
    best, worst = (
        dict(zip(WORDS, values[:3], strict=True)),
        dict(zip(WORDS, values[3:], strict=True)),
    )
    return {**best, "with_retrieval": best, "without_retrieval": worst}


def hole(commit):
    return Hole(commit, "b", "p.py", 0, 1, "line", "", 0, "python")


def evaluation(**changed):
    comparison = Comparison(
        em=Interval(20.00049, 1.23456, math.inf),
        es=Interval(1.0004, -math.inf, math.inf),
        nll=Interval(-0.123456, -0.2, -0.1),
        won=7,
        lost=3,
        p_value=0.12345678,
    )
    facts = {
        "candidate": "c1",
        "incumbent": None,
        "base_model": "tiny",
        "held_out": HoleSet.of([hole("new"), hole("old")]),
        "copies_dropped": 3,
        "dropped": KnownHoles(2, 1),
        "arms": ArmsReport.of(BASE, None, BETTER),
        "comparison": comparison,
        "seed": 4,
        "settings": EvaluationSettings.of(Settings()),
        "seconds": 12.345,
    }
    return EvaluationReport(**(facts | changed))


STATISTICS = {
    "delta_em": 20.0, "ci95": [1.2346, None], "p_value": 0.123457, "won": 7, "lost": 3,
    "delta_es": 1.0, "es_ci95": [None, None],
    "delta_middle_nll": -0.12346, "middle_nll_ci95": [-0.2, -0.1],
}  # fmt: skip
SETTINGS = {
    "prompt_tokens": 1024, "context_tokens": 512, "suffix_tokens": 192, "snippets": 6,
    "max_tokens": 64, "copying": True, "alternatives": 16, "evaluation_form": "typed", "embedder": "copilot-embed-v1",
}  # fmt: skip
ARMS = {
    "base": arm(10.0, 20.0, 1.5, 9.0, 19.0, 1.6),
    "incumbent": arm(10.0, 20.0, 1.5, 9.0, 19.0, 1.6),
    "candidate": arm(30.0, 40.0, 1.0, 29.0, 39.0, 1.1),
}


def test_an_evaluation_as_json():
    assert json.dumps(evaluation().to_json()) == json.dumps({
        "candidate": "c1",
        "incumbent": None,
        "base_model": "tiny",
        "commits": {"held_out": ["old", "new"]},
        "holes": {"held_out": 2},
        "copies_dropped": 3,
        "dropped": {"learnt": 2, "shown": 1},
        "arms": ARMS,
        **STATISTICS,
        "controls": [],
        "figures": {},
        "saved_by_adapter": {},
        "seed": 4,
        "settings": SETTINGS,
        "seconds": 12.3,
    })  # fmt: skip


def refresh():
    return RefreshReport(
        evaluation=evaluation(),
        train=HoleSet.of([hole("b"), hole("x"), hole("a")]),
        duplicates_dropped=DuplicateCounts(exact=2, near=1),
        regression=RegressionCheck(8, 1.0, 1.01, 0.9, 0.91, 0.05, True),
        promoted=True,
        reason="better",
        recipe=TrainingRecipe(),
        training_share=0.5,
        training=TrainReport(5, 6, 0, 700, 1.5, 2.25, True),
        preset="default",
    )


def test_a_refresh_as_json():
    assert json.dumps(refresh().to_json()) == json.dumps({
        "candidate": "c1",
        "incumbent": None,
        "base_model": "tiny",
        "commits": {"train": ["a", "b"], "held_out": ["old", "new"]},
        "holes": {"train": 3, "held_out": 2},
        "copies_dropped": 3,
        "duplicates_dropped": {"exact": 2, "near": 1},
        "arms": ARMS,
        **STATISTICS,
        "regression_guard": {
            "holes": 8, "base_nll": 1.0, "candidate_nll": 1.01, "base_middle_nll": 0.9,
            "candidate_middle_nll": 0.91, "tolerance": 0.05, "passed": True,
        },
        "promoted": True,
        "reason": "better",
        "retired": False,
        "strength": {},
        "started_from": None,
        "seed": 4,
        "settings": {
            **SETTINGS,
            "recipe": {
                "rank": 16, "epochs": 2, "batch": 8, "learning_rate": 2e-4, "warmup_steps": 5,
                "clip": 1.0, "micro_tokens": 1536, "open_weight": 0.0, "open_tokens": 96,
                "cooldown": 0.0, "seed": 0, "cosine": False, "dropout": 0.05,
            },
            "preset": "default",
            "training_share": 0.5,
        },
        "training": {
            "steps": 5, "planned_steps": 6, "resumed_at": 0, "tokens": 700, "seconds": 1.5,
            "loss": 2.25, "stopped": True,
        },
        "plan": None,
        "seconds": 12.3,
    })  # fmt: skip


def test_what_was_not_measured_is_null_under_the_same_keys():
    unmeasured = ArmScores(ScoreSummary(None, None, 1.5))
    assert unmeasured.to_json() == arm(None, None, 1.5, None, None, None)
    likelihood = dataclasses.replace(evaluation().comparison, completed=False).to_json()
    measured = evaluation().comparison.to_json()
    assert likelihood.keys() == measured.keys()
    null = {"delta_em", "p_value", "won", "lost", "delta_es"}
    assert {key for key, value in likelihood.items() if value is None} == null
    assert likelihood["ci95"] == likelihood["es_ci95"] == [None, None]
    assert likelihood["middle_nll_ci95"] == measured["middle_nll_ci95"]


def test_an_arm_that_does_not_exist_is_what_is_used_in_its_place():
    assert ArmsReport.of(BASE, BETTER, None).candidate == BETTER
    assert ArmsReport.of(BASE, None, None) == ArmsReport(BASE, BASE, BASE)


def test_reports_of_older_versions_are_read(tmp_path):
    """What the first version wrote, and a report with nothing in it."""
    old = {"base_model": "tiny", "promoted": True, "commits": {"train": ["a", "b"]}}
    names = [adapter_store.new_id(second) for second in (0, 1)]
    for name, facts in zip(names, (old, {}), strict=True):
        adapter_store.create(tmp_path, name, fill, facts)
    first, second = adapter_store.list_adapters(tmp_path)
    assert (first.base_model, first.promoted, first.delta_em) == ("tiny", True, None)
    assert first.newest_commits("train") == first.newest_commits() == ["b"]
    assert first.newest_commits("held_out") == []
    assert (second.base_model, second.commits, second.promoted) == (None, None, None)
    assert adapter_store.base_model(tmp_path, names[1]) == ""
    assert adapter_store.record_of(tmp_path, names[0]) == first
