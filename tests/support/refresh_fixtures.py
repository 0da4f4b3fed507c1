"""A refresh of a repository with a history, by tiny models: fixtures, for modules to import."""

from __future__ import annotations

import pytest

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.evaluation import regression_check
from git_copilot.assistant.evaluation.eval_run import run_eval
from git_copilot.assistant.refresh import run_state
from git_copilot.assistant.refresh.pipeline import run_refresh
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.tiny_models import save_tiny


@pytest.fixture(scope="module", name="tiny")
def tiny_model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", layers=1)


@pytest.fixture(scope="module", name="other_model")
def another_model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "other", layers=1, seed=5)


@pytest.fixture(autouse=True, name="quick")
def quick_recipe(monkeypatch):
    """A high learning rate, since a random model learns nothing in a few usual steps, and only
    eight regression holes."""
    monkeypatch.setattr(regression_check, "MODULES", regression_check.MODULES[:8])
    recipe = run_state.TrainingRecipe
    monkeypatch.setattr(
        run_state,
        "TrainingRecipe",
        lambda **given: recipe(
            **(
                given
                | {"learning_rate": 5e-3, "warmup_steps": 1, "open_weight": 0.0, "cooldown": 0.0}
            )
        ),
    )


def settings(model, **more):
    return Settings(
        model=str(model), prompt_tokens=320, context_tokens=200, suffix_tokens=32, max_tokens=6,
        adapter_rank=4, **more,
    )  # fmt: skip


def write_history(repo, commits):
    """Each commit writes two functions with distinct numbers, in two new files."""
    for i in range(commits):
        files = {}
        for k in range(2):
            number = 100 * i + 50 * k
            lines = "".join(f"    v{j} = mix(v, {number + j}) + off[{j}]\n" for j in range(5))
            files[f"part{i}{k}.py"] = f"def step_{i}{k}(v, off):\n{lines}    return v\n"
        repo.commit(files)


@pytest.fixture(name="opened_repo")
def opened_history(repo):
    write_history(repo, 24)
    found = GitRepository.discover(repo.path)
    trust_repository(found.state_dir)
    with Database(found.state_dir / DATABASE_NAME, create=True) as db:
        yield repo, found, db


CONTEXT = ("progress", "note")


def run(found, db, model, **more):
    """The report of a refresh as JSON."""
    chosen = more.pop("settings", None) or settings(model)
    context = RepositoryContext(
        found, db, chosen, **{name: more.pop(name) for name in CONTEXT if name in more}
    )
    return run_refresh(context, **{"max_holes": 40, "held_out_holes": 24, **more}).to_json()


def evaluate(found, db, model, **more):
    """The report of an evaluation as JSON."""
    context = RepositoryContext(found, db, settings(model))
    return run_eval(context, **{"commits_range": None, "adapter": None, **more}).to_json()
