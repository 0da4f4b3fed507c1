"""The strength of an adapter is chosen by holes that do not judge it."""

from __future__ import annotations

import json

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.refresh.strength import DEFAULT_SCALE, best_scale, choosing_commits
from git_copilot.assistant.training.lora import scale_adapter
from git_copilot.index.core.types import Hole
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    opened_history,
    quick_recipe,
    run,
    tiny_model,
)

# As measured: nats per token of a repository and of other code, at 0, a half and the whole.
MEASURED = ((1.121, 1.053, 1.077), (1.814, 1.850, 1.970))


def test_the_scale_is_where_the_repository_is_likeliest_if_others_lose_little():
    inside, outside = MEASURED
    assert best_scale(inside, outside) == 0.55  # the best one, 0.6, costs others 2.5%
    assert best_scale(inside, (1.8, 1.8, 1.8)) == 0.6


def test_other_code_bounds_the_scale():
    inside = (1.0, 0.9, 0.8)
    assert best_scale(inside, (1.0, 1.0, 1.0)) == 1.0
    assert best_scale(inside, (1.0, 1.025, 1.05)) == 0.5
    assert best_scale(inside, (1.0, 2.0, 3.0)) == 0.2


def test_training_that_only_harms_gets_the_least_scale():
    assert best_scale((1.0, 1.1, 1.3), (1.0, 1.0, 1.0)) == 0.2


def holes(*sizes):
    """The given number of holes for each commit, newest first."""
    return [
        Hole(f"c{c}", "b", f"{i}.py", 0, 1, "line", "", 100 - c)
        for c, size in enumerate(sizes)
        for i in range(size)
    ]


def test_the_oldest_held_out_commits_choose_and_the_others_judge():
    assert choosing_commits(holes(10, 10, 10, 10, 10, 10, 10)) == {"c6", "c5"}
    assert choosing_commits(holes(*[10] * 40)) == {"c39", "c38", "c37", "c36"}


def test_nothing_chooses_where_too_little_would_be_left_to_judge():
    assert choosing_commits(holes(5, 5, 5, 5, 5)) == frozenset()  # too few holes
    assert choosing_commits(holes(*[20] * 5)) == frozenset()  # too few commits
    assert choosing_commits([]) == frozenset()


def test_a_scale_is_written_as_peft_reads_it(tmp_path):
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps({"r": 8, "lora_alpha": 16, "peft_type": "LORA"}))
    scale_adapter(config, 0.25)
    scale_adapter(config, 0.55)  # of what was trained, not of what it had
    facts = json.loads(config.read_text())
    assert facts == {"r": 8, "lora_alpha": pytest.approx(8.8), "peft_type": "LORA"}


@pytest.mark.slow
def test_a_refresh_chooses_tells_and_applies_a_scale(opened_repo, tiny):
    _, found, db = opened_repo
    report = run(found, db, tiny, max_holes=30, held_out_holes=32)
    strength = report["strength"]
    assert strength["holes"] >= 8
    assert report["holes"]["held_out"] + strength["holes"] == 32
    assert len(strength["inside"]) == len(strength["outside"]) == 3
    assert strength["scale"] == best_scale(strength["inside"], strength["outside"])
    folder = adapter_store.adapters_dir(found.state_dir) / report["candidate"]
    config = json.loads((folder / adapter_store.CONFIG).read_text())
    assert config["lora_alpha"] == pytest.approx(2 * config["r"] * strength["scale"])
    # The candidate was judged with it.
    assert report["arms"]["candidate"]["nll"] != report["arms"]["base"]["nll"]


@pytest.mark.slow
def test_few_holes_leave_the_usual_scale(opened_repo, tiny):
    _, found, db = opened_repo
    assert run(found, db, tiny)["strength"] == {
        "scale": DEFAULT_SCALE, "holes": 0, "inside": (), "outside": (),
    }  # fmt: skip
