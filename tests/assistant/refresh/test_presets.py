"""Published recipes of a refresh."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import read_training_holes
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.setting_values import CHOICES
from git_copilot.assistant.refresh import pipeline
from git_copilot.assistant.refresh.presets import DEFAULT, PRESETS
from git_copilot.assistant.training.batches import TrainingRecipe
from git_copilot.index.corpus.windows import SEQUENCE
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    opened_history,
    quick_recipe,
    run,
    settings,
    tiny_model,
)

PERSONAL = "personal-copilot"


def test_the_setting_names_every_preset():
    assert CHOICES["refreshpreset"] == tuple(PRESETS)
    assert Settings().refresh_preset == DEFAULT


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_fields_that_exist(name):
    preset = PRESETS[name]
    assert set(preset.recipe) <= {field.name for field in fields(TrainingRecipe)}
    assert set(preset.settings) <= {field.name for field in fields(Settings)}


def test_personal_copilot_is_the_published_run():
    preset = PRESETS[PERSONAL]
    recipe = TrainingRecipe(rank=preset.applied_to(Settings()).adapter_rank, **preset.recipe)
    assert (recipe.rank, recipe.batch, recipe.learning_rate) == (32, 16, 5e-4)
    assert recipe.cosine and recipe.cooldown == 1.0 and recipe.dropout == 0.0
    assert (preset.sequence_tokens, preset.strength) == (2048, 0.8)


@pytest.fixture(name="seen")
def training_seen(monkeypatch):
    """The examples and the recipe that training gets."""
    found, train = {}, pipeline.train_adapter

    def watched(model, examples, recipe, **more):
        found.update(examples=list(examples), recipe=recipe)
        return train(model, examples, recipe, **more)

    monkeypatch.setattr(pipeline, "train_adapter", watched)
    return found


def test_it_learns_whole_files_and_acts_at_its_own_strength(opened_repo, tiny, seen):
    _, found, db = opened_repo
    report = run(found, db, tiny, settings=settings(tiny, refresh_preset=PERSONAL))
    assert report["settings"]["preset"] == PERSONAL
    assert report["settings"]["recipe"]["rank"] == 32
    assert report["strength"] == {"scale": 0.8, "holes": 0, "inside": (), "outside": ()}
    examples = seen["examples"]
    assert {e.hole.kind for e in examples} == {SEQUENCE}
    assert all(len(e.prompt_ids) == 1 for e in examples)
    # Only what stood in the tree before the held-out commits.
    held = set(report["commits"]["held_out"])
    assert held.isdisjoint(report["commits"]["train"])
    folder = adapter_store.adapters_dir(found.state_dir) / report["candidate"]
    config = json.loads((folder / adapter_store.CONFIG).read_text())
    assert (config["r"], config["lora_alpha"]) == (32, 2 * 32 * 0.8)
    assert {hole.kind for hole in read_training_holes(folder)} == {SEQUENCE}


def test_the_default_recipe_warms_up_as_before(opened_repo, tiny, seen):
    _, found, db = opened_repo
    run(found, db, tiny)
    assert seen["recipe"].warmup_steps == 1  # what quick_recipe asks for
    assert not seen["recipe"].cosine
