"""At the end of training the learning rate falls to zero, by steps or by time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support.training_fixtures import (  # noqa: F401 - fixtures
    RECIPE,
    run,
    tiny_examples,
    tiny_folder,
)


def rates(monkeypatch):
    """The learning rates of all optimizer steps from here on."""
    found, step = [], torch.optim.AdamW.step

    def watched(self, *args, **more):
        found.append(self.param_groups[0]["lr"])
        return step(self, *args, **more)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    return found


COOLING = replace(RECIPE, warmup_steps=1, learning_rate=1.0e-3, cooldown=0.4)


def test_the_rate_cools_down_over_the_last_steps(folder, examples, tmp_path, monkeypatch):
    found = rates(monkeypatch)
    report = run(folder, examples, tmp_path, COOLING)
    expected = [
        1e-3 * min(1.0, (1 - i / report.planned_steps) / 0.4) for i in range(report.planned_steps)
    ]
    assert found == pytest.approx(expected)
    assert found[0] == 1e-3 > found[-1] > 0


def test_the_rate_cools_down_with_the_time_where_that_is_short(
    folder, examples, tmp_path, monkeypatch
):
    """A clock that moves on by itself: half of the steps fit, and the last ones are small."""
    ticks = iter(range(10**6))
    found = rates(monkeypatch)
    report = run(
        folder, examples, tmp_path, COOLING, seconds=30.0, clock=lambda: float(next(ticks))
    )
    assert report.stopped and report.steps < report.planned_steps
    assert found[0] == 1e-3 and found[-1] < 0.6e-3
    assert found == sorted(found, reverse=True)
