"""Complete refreshes of a real repository with a tiny model, from the split to rollback."""

from __future__ import annotations

import errno
import fcntl
import html
import json

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.evaluation import arms
from git_copilot.assistant.evaluation.controls import Control
from git_copilot.assistant.evaluation.hole_results import (
    ADAPTER,
    ADAPTER_PLAIN,
    BASE,
    BASE_PLAIN,
    control_name,
)
from git_copilot.index.core.errors import CopilotError, GitError, ModelError
from git_copilot.index.corpus.mining import mine
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    another_model,
    evaluate,
    opened_history,
    quick_recipe,
    run,
    tiny_model,
    write_history,
)

pytestmark = pytest.mark.slow

CONTRACT = {
    "candidate", "incumbent", "base_model", "commits", "holes", "arms", "delta_em", "ci95",
    "p_value", "regression_guard", "promoted", "reason", "seed", "settings", "seconds",
}  # fmt: skip


def test_a_winning_candidate_is_promoted_with_its_report(opened_repo, tiny):
    repo, found, db = opened_repo
    labels = []
    evidence = run(found, db, tiny, progress=lambda label, done, total: labels.append(label))
    assert evidence.keys() >= CONTRACT
    assert evidence["promoted"], evidence["reason"]
    assert evidence["holes"] == {"train": 40, "held_out": 24}
    assert evidence["incumbent"] is None
    assert evidence["arms"]["incumbent"] == evidence["arms"]["base"]
    for arm in evidence["arms"].values():
        assert arm.keys() == {"em", "es", "nll", "with_retrieval", "without_retrieval"}
        assert arm["em"] == arm["with_retrieval"]["em"]
        # A refresh has no time for what decides nothing; `eval` measures it.
        assert arm["without_retrieval"] == {"em": None, "es": None, "nll": None}
    assert evidence["arms"]["candidate"]["nll"] < evidence["arms"]["base"]["nll"]
    assert evidence["plan"] is None
    assert evidence["regression_guard"]["passed"] is True
    folder = adapter_store.adapter_path(found.state_dir, evidence["candidate"])
    page = (folder / adapter_store.PAGE).read_text("utf-8")
    assert html.escape(f"Promoted: {evidence['reason']}.") in page
    assert "on 24 holes" in page
    identity = evidence["candidate"]
    assert adapter_store.current_adapter(found.state_dir) == identity
    assert adapter_store.read_report(found.state_dir, identity) == json.loads(json.dumps(evidence))
    assert not (found.state_dir / "adapters" / ".work").exists()
    assert {"retrieving", "training", "evaluating the base model"} <= set(labels)
    order = repo.git("rev-list", "--topo-order", "HEAD").split()
    train, held = evidence["commits"]["train"], evidence["commits"]["held_out"]
    places = [order.index(oid) for oid in (*train, *held)]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == 4


def test_the_same_seed_gives_the_same_results(opened_repo, tiny):
    _, found, db = opened_repo
    first = run(found, db, tiny)
    adapter_store.use(found.state_dir, None)
    again = run(found, db, tiny)
    changing = {"candidate", "seconds", "training"}
    assert {k: v for k, v in first.items() if k not in changing} == {
        k: v for k, v in again.items() if k not in changing
    }


def test_with_too_few_held_out_holes_the_candidate_is_kept_but_not_promoted(opened_repo, tiny):
    _, found, db = opened_repo
    evidence = run(found, db, tiny, held_out_holes=8)
    assert evidence["promoted"] is False
    assert "too few" in evidence["reason"]
    assert adapter_store.current_adapter(found.state_dir) is None
    rows = adapter_store.list_adapters(found.state_dir)
    assert [(r.id, r.promoted) for r in rows] == [(evidence["candidate"], False)]


def test_the_adapter_in_use_is_evaluated_and_must_be_beaten(opened_repo, tiny):
    _, found, db = opened_repo
    first = run(found, db, tiny)
    second = run(found, db, tiny)
    assert second["incumbent"] == first["candidate"]
    # The same training again: nothing is better, so nothing changes.
    assert second["arms"]["incumbent"] == first["arms"]["candidate"]
    assert second["promoted"] is False
    assert adapter_store.current_adapter(found.state_dir) == first["candidate"]


def test_an_adapter_of_another_model_is_no_incumbent(opened_repo, tiny, other_model):
    _, found, db = opened_repo
    first = run(found, db, tiny)
    notes = []
    second = run(found, db, other_model, note=notes.append)
    assert second["incumbent"] is None
    assert any(first["candidate"] in note and "another model" in note for note in notes)


def test_a_damaged_incumbent_is_reported_and_ignored(opened_repo, tiny):
    _, found, db = opened_repo
    first = run(found, db, tiny)
    (found.state_dir / "adapters" / first["candidate"] / adapter_store.WEIGHTS).write_bytes(b"x")
    notes = []
    second = run(found, db, tiny, note=notes.append)
    assert second["incumbent"] is None
    assert any("damaged" in note or "cut short" in note for note in notes)


def test_only_one_refresh_runs_at_a_time(opened_repo, tiny):
    _, found, db = opened_repo
    lock = found.state_dir / "adapters" / ".lock"
    lock.parent.mkdir()
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CopilotError, match="another refresh"):
            run(found, db, tiny)
    run(found, db, tiny, held_out_holes=8, max_holes=20)


def test_training_resumes_after_ctrl_c(opened_repo, tiny):
    _, found, db = opened_repo

    def interrupted(label, done, total):
        if label == "training" and done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(found, db, tiny, progress=interrupted)
    assert adapter_store.ids(found.state_dir) == []
    notes = []
    evidence = run(found, db, tiny, note=notes.append)
    assert evidence["training"]["resumed_at"] == 4
    assert any("after step 4" in note for note in notes)


def test_a_full_disk_is_a_user_error_and_changes_nothing(opened_repo, tiny, monkeypatch):
    _, found, db = opened_repo

    def full(*args, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("git_copilot.assistant.training.checkpoint.save", full)
    with pytest.raises(CopilotError, match="no room to write"):
        run(found, db, tiny)
    assert adapter_store.ids(found.state_dir) == []


def test_too_small_a_history_is_refused_with_the_number_needed(repo, tiny):
    write_history(repo, 2)
    found = GitRepository.discover(repo.path)
    trust_repository(found.state_dir)
    with Database(found.state_dir / DATABASE_NAME, create=True) as db:
        with pytest.raises(CopilotError, match=r"2 commits give only \d+ holes; at least 25"):
            run(found, db, tiny)
        evidence = run(found, db, tiny, force=True)
        assert evidence["promoted"] is False


def test_an_unborn_branch_and_a_missing_model_are_user_errors(repo, tiny):
    found = GitRepository.discover(repo.path)
    trust_repository(found.state_dir)
    with Database(found.state_dir / DATABASE_NAME, create=True) as db:
        with pytest.raises(CopilotError, match="no commit"):
            run(found, db, tiny)
        with pytest.raises(ModelError, match="model pull"):
            run(found, db, "smollm2-135m")


def test_evaluating_a_range_excludes_holes_the_adapter_was_trained_on(opened_repo, tiny):
    repo, found, db = opened_repo
    base = evaluate(found, db, tiny, held_out_holes=12)
    assert base["candidate"] is None
    assert base["holes"]["held_out"] == 12
    assert base["delta_em"] == 0
    with_retrieval, without = (
        base["arms"]["base"][f"{name}_retrieval"] for name in ("with", "without")
    )
    assert None not in without.values()
    assert with_retrieval != without
    first = run(found, db, tiny)
    report = evaluate(found, db, tiny, held_out_holes=500)
    assert report["candidate"] == report["incumbent"] == first["candidate"]
    learnt = adapter_store.trained_on(found.state_dir, first["candidate"])
    order = repo.git("rev-list", "--topo-order", "HEAD").split()
    oldest, newest = (order.index(oid) for oid in report["commits"]["held_out"])
    assert learnt
    assert not learnt & set(order[newest : oldest + 1])
    assert report["arms"]["candidate"]["nll"] < report["arms"]["base"]["nll"]
    none = evaluate(found, db, tiny, adapter="none", commits_range="HEAD~3..HEAD")
    assert none["candidate"] is None
    assert none["commits"]["held_out"][0] in order[:3]


def test_an_adapter_is_compared_with_one_made_elsewhere(opened_repo, tiny):
    _, found, db = opened_repo
    candidate = run(found, db, tiny)["candidate"]
    # The same adapter as its own control: a difference would be a mistake of the comparison.
    control = Control("other", adapter_store.adapter_path(found.state_dir, candidate))
    report = evaluate(found, db, tiny, adapter=candidate, controls=[control])
    (row,) = report["controls"]
    assert (row["name"], row["delta_em"], row["delta_middle_nll"]) == ("other", 0, 0)
    assert row["nll"] == report["arms"]["candidate"]["nll"] != report["arms"]["base"]["nll"]
    figures = report["figures"]
    assert list(figures) == [BASE_PLAIN, BASE, ADAPTER_PLAIN, ADAPTER, control_name("other")]
    assert figures[control_name("other")] == figures[ADAPTER]
    assert figures[BASE]["edit_similarity"] == pytest.approx(report["arms"]["base"]["es"], abs=0.01)


@pytest.mark.parametrize("bad", ["nowhere..HEAD", "--all", "HEAD --not", "--output=x"])
def test_a_range_without_commits_is_refused(opened_repo, tiny, bad):
    _, found, db = opened_repo
    mine(found, db)
    with pytest.raises(GitError, match="is not a range of commits"):
        evaluate(found, db, tiny, commits_range=bad)


def test_an_empty_range_or_an_adapter_of_another_model_is_refused(opened_repo, tiny, other_model):
    _, found, db = opened_repo
    mine(found, db)
    with pytest.raises(CopilotError, match="has no hole"):
        evaluate(found, db, tiny, commits_range="HEAD..HEAD")
    first = run(found, db, tiny)
    with pytest.raises(CopilotError, match="was trained for"):
        evaluate(found, db, other_model, adapter=first["candidate"])


def test_equal_prompts_are_evaluated_once(opened_repo, tiny, monkeypatch):
    """If no snippet is found, prompts with and without retrieval are equal."""
    _, found, db = opened_repo
    counts = []
    whole = arms.evaluate

    def counting(model, tokenizer, examples, options):
        counts.extend(example.key for example in examples)
        return whole(model, tokenizer, examples, options)

    monkeypatch.setattr(arms, "evaluate", counting)
    report = evaluate(found, db, tiny, commits_range="HEAD~22", adapter="none")
    first = report["holes"]["held_out"]
    assert len(set(counts[:first])) == first
    assert len(counts) - first < first
