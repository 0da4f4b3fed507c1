"""Real improvements are promoted, apparent ones are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from git_copilot.assistant.dataset.split import MIN_COMMITS, MIN_HOLES
from git_copilot.assistant.evaluation.metrics import Score
from git_copilot.assistant.refresh.promotion import decide, is_harmful


def arm(rng, commits=12, holes=5, em=0.25):
    return [
        Score(f"c{c}", 100.0 * (rng.random() < em), 50.0, float(rng.gamma(2, 9)), 1.0, 9)
        for c in range(commits)
        for _ in range(holes)
    ]


def changed(scores, em=None, nll=0.0, end=0.0, es=0.0):
    return [
        dataclasses.replace(
            s,
            es=s.es + es,
            em=s.em if em is None else em,
            nll=s.nll + nll * s.tokens,
            end_nll=s.end_nll + end,
        )
        for s in scores
    ]


@pytest.fixture
def base_scores():
    return arm(np.random.default_rng(0))


def test_better_completions_are_promoted(base_scores):
    found = decide(base_scores, None, changed(base_scores, em=100.0), guard_passed=True)
    assert found.promoted
    assert "the base model" in found.reason


def test_likelier_code_is_promoted_when_completions_are_no_worse(base_scores):
    found = decide(base_scores, None, changed(base_scores, nll=-0.1), guard_passed=True)
    assert found.promoted
    assert "0.100 nats" in found.reason


def test_a_negligible_gain_is_not_promoted(base_scores):
    assert not decide(
        base_scores, None, changed(base_scores, nll=-0.01), guard_passed=True
    ).promoted


def test_a_gain_in_end_tokens_alone_is_not_promoted(base_scores):
    found = decide(base_scores, None, changed(base_scores, end=-0.9), guard_passed=True)
    assert not found.promoted
    assert found.comparison.nll.value == 0


def test_likelier_code_does_not_excuse_worse_completions(base_scores):
    worse = changed(base_scores, nll=-0.5)
    lost = next(i for i, s in enumerate(worse) if s.em)
    worse[lost] = dataclasses.replace(worse[lost], em=0.0)
    assert not decide(base_scores, None, worse, guard_passed=True).promoted


def test_likelier_code_does_not_excuse_lower_edit_similarity(base_scores):
    found = decide(base_scores, None, changed(base_scores, nll=-0.1, es=-5.0), guard_passed=True)
    assert not found.promoted
    assert "further from what was written" in found.reason


def test_a_failed_regression_check_vetoes_promotion(base_scores):
    found = decide(base_scores, None, changed(base_scores, em=100.0), guard_passed=False)
    assert not found.promoted
    assert "outside this repository" in found.reason


@pytest.mark.parametrize(
    ("commits", "holes"), [(MIN_COMMITS - 1, 20), (MIN_HOLES - 1, 1), (MIN_COMMITS, 3)]
)
def test_too_few_holes_or_commits_promote_nothing(commits, holes):
    few = arm(np.random.default_rng(1), commits, holes)
    found = decide(few, None, changed(few, em=100.0, nll=-1), guard_passed=True)
    assert not found.promoted
    assert "too few" in found.reason


def test_a_candidate_must_beat_the_adapter_in_use(base_scores):
    incumbent = changed(base_scores, em=100.0, nll=-0.3)
    candidate = changed(base_scores, em=100.0, nll=-0.2)
    assert decide(base_scores, None, candidate, guard_passed=True).promoted
    found = decide(base_scores, incumbent, candidate, guard_passed=True)
    assert not found.promoted
    assert "the adapter in use" in found.reason


def test_a_candidate_must_also_beat_the_base_model(base_scores):
    incumbent = changed(base_scores, em=0.0, nll=0.9)
    candidate = changed(base_scores, nll=0.2)
    found = decide(base_scores, incumbent, candidate, guard_passed=True)
    assert not found.promoted
    assert "worse than the base" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize(("commits", "holes"), [(5, 5), (8, 4), (20, 4)])
def test_equal_models_are_rarely_promoted(commits, holes):
    """A/A test: both arms have one distribution; holes of a commit share a heavy-tailed effect."""
    rng = np.random.default_rng(100 + commits)

    def trial():
        before = arm(rng, commits, holes)
        effects = dict.fromkeys([s.commit for s in before], 0.0)
        effects = {c: 0.1 * float(rng.standard_t(3)) for c in effects}
        after = [
            dataclasses.replace(
                s,
                em=100.0 * (rng.random() < 0.25) if rng.random() < 0.2 else s.em,
                nll=s.nll + s.tokens * (effects[s.commit] + float(rng.normal(0, 0.15))),
            )
            for s in before
        ]
        return decide(before, None, after, guard_passed=True).promoted

    trials = 400
    assert sum(trial() for _ in range(trials)) <= 0.05 * trials


def test_a_real_gain_is_usually_promoted():
    rng = np.random.default_rng(2)

    def trial():
        before = arm(rng, 20, 5)
        after = [
            dataclasses.replace(s, nll=s.nll + s.tokens * float(rng.normal(-0.15, 0.15)))
            for s in before
        ]
        return decide(before, None, after, guard_passed=True).promoted

    assert sum(trial() for _ in range(40)) >= 36


def test_an_adapter_that_is_worse_than_the_base_model_is_harmful(base_scores):
    assert is_harmful(base_scores, changed(base_scores, nll=0.1))
    assert is_harmful(base_scores, changed(base_scores, em=0.0))
    assert not is_harmful(base_scores, changed(base_scores, nll=0.01))
    assert not is_harmful(base_scores, changed(base_scores, nll=-0.1))
    assert not is_harmful(base_scores[:10], changed(base_scores[:10], nll=0.1))


def test_an_equal_adapter_is_rarely_called_harmful():
    rng = np.random.default_rng(3)

    def trial():
        base = arm(rng)
        noise = rng.normal(0, 0.3, len(base))
        other = [
            dataclasses.replace(s, nll=max(0.0, s.nll + n))
            for s, n in zip(base, noise, strict=True)
        ]
        return is_harmful(base, other)

    assert sum(trial() for _ in range(60)) <= 4
