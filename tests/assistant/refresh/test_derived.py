"""Merged and scaled adapters in a real repository: what they know, how they are judged, and when they
are used."""

from __future__ import annotations

import json

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.merging import Combination, Part
from git_copilot.assistant.adapters.provenance import read_training_holes
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.refresh.derived import store_merged, store_scaled
from git_copilot.assistant.refresh.rejudging import judge_adapter
from git_copilot.index.core.errors import CopilotError
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    another_model,
    opened_history,
    quick_recipe,
    run,
    settings,
    tiny_model,
    write_history,
)

pytestmark = pytest.mark.slow


def context(found, db, model, **more):
    return RepositoryContext(found, db, settings(model), **more)


def judge(found, db, model, adapter, **more):
    return judge_adapter(context(found, db, model, **more), adapter, folder=model, holes=24)


def merge(found, model, *names, weights=(0.5, 0.5), **how):
    state = found.state_dir
    parts = [
        Part(name, adapter_store.adapter_path(state, name), weight)
        for name, weight in zip(names, weights, strict=True)
    ]
    return store_merged(found, model, str(model), parts, Combination(**how))


def refreshed(found, db, model, seed):
    adapter = run(found, db, model, seed=seed)["candidate"]
    adapter_store.use(found.state_dir, None)
    return adapter


def test_a_merged_adapter_is_judged_by_what_no_part_knows(opened_repo, tiny):
    _, found, db = opened_repo
    state = found.state_dir
    one, two = (refreshed(found, db, tiny, seed) for seed in (0, 1))
    merged = merge(found, tiny, one, two, weights=(1.0, 1.0))
    before = adapter_store.read_report(state, merged)
    assert before["promoted"] is False
    assert f"adapter judge {merged}" in before["reason"]
    assert before["merged"]["parts"] == [{"adapter": a, "weight": 1.0} for a in (one, two)]
    assert adapter_store.current_adapter(state) is None

    judged = judge(found, db, tiny, merged)
    assert judged.promoted, judged.decision.reason
    assert adapter_store.current_adapter(state) == merged
    report = adapter_store.read_report(state, merged)
    assert report["promoted"] is True
    assert report["merged"] == before["merged"]
    assert report["commits"]["train"] == before["commits"]["train"]
    assert report["holes"]["held_out"] == judged.evaluation.held_out.count > 0
    learnt = adapter_store.trained_on(state, merged)
    assert learnt == adapter_store.trained_on(state, one) | adapter_store.trained_on(state, two)
    assert not learnt & {result.hole.commit for result in judged.evaluation.results}
    page = json.dumps(judged.to_json())
    assert json.loads(page)["arms"]["candidate"]["nll"] < json.loads(page)["arms"]["base"]["nll"]
    assert not (state / "adapters" / ".eval").exists()


def test_a_merged_adapter_knows_the_holes_of_its_parts(opened_repo, tiny):
    repo, found, db = opened_repo
    one = refreshed(found, db, tiny, 0)
    write_history(repo, 30)
    two = refreshed(found, db, tiny, 0)
    state = found.state_dir
    merged = merge(found, tiny, one, two)
    holes = [
        set(read_training_holes(adapter_store.adapter_path(state, name)))
        for name in (one, two, merged)
    ]
    assert holes[2] == holes[0] | holes[1]
    spans = [adapter_store.read_report(state, a)["commits"]["train"] for a in (one, two, merged)]
    assert spans[2] == [spans[0][0], spans[1][1]]


def test_a_scaled_copy_has_to_win_against_the_one_in_use(opened_repo, tiny):
    _, found, db = opened_repo
    state = found.state_dir
    used = run(found, db, tiny)["candidate"]
    assert adapter_store.current_adapter(state) == used
    weak = store_scaled(found, used, 0.01)
    judged = judge(found, db, tiny, weak)
    assert not judged.promoted
    assert judged.evaluation.incumbent == used
    assert adapter_store.current_adapter(state) == used
    report = adapter_store.read_report(state, weak)
    assert report["scaled"] == {"adapter": used, "scale": 0.01}
    assert report["reason"] == judged.decision.reason
    config = adapter_store.adapter_path(state, weak) / adapter_store.CONFIG
    facts = json.loads(config.read_text())
    assert facts["lora_alpha"] == pytest.approx(0.02 * facts["r"])


def test_what_is_in_use_cannot_be_judged_against_itself(opened_repo, tiny):
    _, found, db = opened_repo
    used = run(found, db, tiny)["candidate"]
    with pytest.raises(CopilotError, match=f"{used} is in use") as caught:
        judge(found, db, tiny, used)
    assert "git copilot eval" in str(caught.value.hint)


def test_an_adapter_of_another_model_is_not_judged(opened_repo, tiny, other_model):
    _, found, db = opened_repo
    adapter = refreshed(found, db, tiny, 0)
    with pytest.raises(CopilotError, match="was trained for"):
        judge(found, db, other_model, adapter)


def test_an_interrupted_judging_goes_on(opened_repo, tiny):
    _, found, db = opened_repo
    merged = merge(found, tiny, *(refreshed(found, db, tiny, seed) for seed in (0, 1)))
    seen = []

    def stop(label, done, total):
        seen.append(label)
        if label == "evaluating the candidate" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(found, db, tiny, merged, progress=stop)
    report = adapter_store.read_report(found.state_dir, merged)
    assert "has not been judged" in report["reason"]
    assert (found.state_dir / "adapters" / ".eval").exists()
    judge(found, db, tiny, merged)
    after = adapter_store.read_report(found.state_dir, merged)
    assert "has not been judged" not in after["reason"]
