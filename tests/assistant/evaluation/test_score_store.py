"""Scores that were measured are found again, for the same question only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.metrics import Score
from git_copilot.assistant.evaluation.score_store import (
    FILE,
    ScoreStore,
    StoredScore,
    files_identity,
    score_key,
)
from git_copilot.assistant.prompt.builder import Budget, build_prompt
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from tests.support.tiny_models import save_tiny

DONE = StoredScore(Score("c", 100.0, 90.5, 1.25, 0.5, 3), (4, 5), "é = 1\n")
LIKELIHOOD = StoredScore(Score("c", 0.0, 0.0, 1.25, 0.5, 3, completed=False))


def test_scores_are_found_again_in_another_process(tmp_path):
    store = ScoreStore(tmp_path / "new")
    store.put("a", DONE)
    store.put("b", LIKELIHOOD)
    again = ScoreStore(tmp_path / "new")
    assert again.get("a", completed=True) == again.get("a", completed=False) == DONE
    assert again.get("b", completed=False) == LIKELIHOOD
    assert again.get("b", completed=True) is None
    assert again.get("c", completed=False) is None


def test_a_line_that_a_kill_cut_short_costs_one_score(tmp_path):
    store = ScoreStore(tmp_path)
    store.put("a", DONE)
    store.put("b", DONE)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-20])
    ScoreStore(tmp_path).put("c", DONE)
    again = ScoreStore(tmp_path)
    assert [again.get(key, completed=True) for key in "abc"] == [DONE, None, DONE]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    tokenizer = TextTokenizer.load(save_tiny(tmp_path_factory.mktemp("tiny"), fim=True))
    hole = Hole("c", "b", "m.py", 0, 1, "line", "", 0, "python")
    prompt = build_prompt(
        tokenizer, path="m.py", language="python", prefix="a = ", suffix="\n", snippets=(),
        budget=Budget(64, 0, 8),
    )  # fmt: skip
    return Example(prompt.ids, (1, 2), Cut(hole, "a = ", "1", "\n"), prompt)


def test_a_score_is_another_one_with_another_model_prompt_precision_or_setting(example):
    given = ("model", "fp32", example, Settings())
    same = score_key(*given)
    assert score_key(*given) == same
    other = [
        ("adapter", *given[1:]),
        ("model", "bf16", *given[2:]),
        (*given[:2], replace(example, prompt_ids=(*example.prompt_ids, 1)), Settings()),
        (*given[:2], replace(example, middle_ids=(1, 3)), Settings()),
        (*given[:3], Settings(max_tokens=3)),
        (*given[:3], Settings(alternatives=0)),
        (*given[:3], Settings(copying=False)),
    ]
    assert len({same, *(score_key(*each) for each in other)}) == len(other) + 1


def test_weights_that_were_replaced_are_other_weights(tmp_path):
    (tmp_path / "a").write_text("one")
    before = files_identity([tmp_path / "a"])
    assert files_identity([tmp_path / "a"]) == before
    (tmp_path / "a").write_text("other")
    assert files_identity([tmp_path / "a"]) != before
