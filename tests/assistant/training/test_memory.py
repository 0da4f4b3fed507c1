"""Where memory does not suffice for a batch, smaller parts of it are tried, then recomputation."""

from __future__ import annotations

import pytest
import torch

from git_copilot.assistant.training import trainer
from git_copilot.index.core.errors import ModelError
from tests.support.training_fixtures import (  # noqa: F401 - fixtures
    RECIPE,
    run,
    tiny_examples,
    tiny_folder,
)

ONE_PASS = {"micro_tokens": 1 << 16}


@pytest.fixture(name="passes")
def watched_passes(monkeypatch):
    """The rows of each forward pass; those with more than ``limit`` rows do not fit, nor do any
    without recomputation where ``recompute`` is set."""
    state = {"rows": [], "limit": 99, "recompute": False}
    loss = trainer._loss

    def limited(training, packed, *rest):
        state["rows"].append(len(packed.ids))
        recomputes = training.model.get_base_model().is_gradient_checkpointing
        if len(packed.ids) > state["limit"] or (state["recompute"] and not recomputes):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(training, packed, *rest)

    monkeypatch.setattr(trainer, "_loss", limited)
    return state


def losses(folder, examples, work, **changed):
    from dataclasses import replace

    found = []
    recipe = replace(RECIPE, dropout=0.0, **changed)
    run(folder, examples, work, recipe, on_loss=lambda step, loss: found.append(loss))
    return found


def test_half_of_a_batch_is_tried_until_it_fits_and_teaches_the_same(
    folder, examples, tmp_path, passes
):
    whole = losses(folder, examples, tmp_path / "whole", **ONE_PASS)
    assert set(passes["rows"]) == {4, 2}  # the last batch has two
    passes.update(rows=[], limit=1)
    parts = losses(folder, examples, tmp_path / "parts", **ONE_PASS)
    # The order of the batches is the seed's; the first one of four is tried in halves.
    assert passes["rows"][:3] == [4, 2, 1]
    assert parts == pytest.approx(whole, rel=1e-4)
    # What did not fit once is not tried at every step.
    assert sum(rows > 1 for rows in passes["rows"]) <= 3


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_single_example_that_does_not_fit_is_recomputed(folder, examples, tmp_path, passes):
    whole = losses(folder, examples, tmp_path / "whole", **ONE_PASS)
    passes.update(recompute=True)
    again = losses(folder, examples, tmp_path / "again", **ONE_PASS)
    assert again == pytest.approx(whole, rel=1e-4)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_never_fits_is_told(folder, examples, tmp_path, passes):
    passes.update(limit=0)
    with pytest.raises(ModelError, match="not enough memory to train this model"):
        losses(folder, examples, tmp_path, **ONE_PASS)
    assert len(passes["rows"]) <= 4


def test_other_errors_are_not_mistaken_for_it(folder, examples, tmp_path, monkeypatch):
    def broken(*args):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(trainer, "_loss", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        losses(folder, examples, tmp_path)
