"""Requests and answers of the service: their JSON says all of them, and nothing wrong gets in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.api.answers import (
    CompleteAnswer,
    CompletionExplanation,
    IndexState,
    Timings,
)
from git_copilot.assistant.api.requests import (
    CompleteRequest,
    FeedbackRequest,
    InvalidRequest,
    SearchRequest,
)
from git_copilot.index.core.errors import USAGE
from git_copilot.index.core.types import Hit

GOOD = {"location": "a.py:1", "cwd": "/repo"}
HIT = Hit(1, "b.py", "oid", 3, 4, "text\n", 0.1234567, ("dense", "lexical"))
EXPLANATION = CompletionExplanation(
    3, 7, (100, 200), 70, "psm", "", "secret", False, {"b.py": 2}, 4, "greedy", "<prompt>"
)
ANSWER = CompleteAnswer(
    "cmpl-1", ("x = 1",), "a.py", 1, 5, "model", "adapter", IndexState("tree", True), ((HIT, 9),),
    100, "stop", 90, 5, Timings(1.26, 2.0, 3.0, 6.26), EXPLANATION,
)  # fmt: skip


@given(
    st.builds(
        CompleteRequest,
        location=st.text(),
        cwd=st.just(Path("/repo")),
        text=st.none() | st.binary(),
        max_tokens=st.none() | st.integers(1, 2048),
        retrieval=st.booleans(),
        adapter=st.none() | st.text(),
        model=st.none() | st.text(),
        at=st.none() | st.text(),
        count=st.integers(1, 16),
        explain=st.booleans(),
    )
)
def test_a_request_round_trips_through_json(request):
    assert CompleteRequest.from_json(request.to_json()) == request


@pytest.mark.parametrize(
    "wrong",
    [None, [], "a.py:1", {}, {"location": "a.py:1"}, {**GOOD, "cwd": "here"},
     {**GOOD, "location": 1}, {**GOOD, "count": 0}, {**GOOD, "count": 17}, {**GOOD, "count": True},
     {**GOOD, "max_tokens": "8"}, {**GOOD, "max_tokens": 2049}, {**GOOD, "text": "\u20ac"},
     {**GOOD, "retrieval": "no"}],
)  # fmt: skip
def test_an_invalid_request_is_refused_in_one_line(wrong):
    with pytest.raises(InvalidRequest) as refused:
        CompleteRequest.from_json(wrong)
    assert refused.value.exit_code == USAGE and "\n" not in str(refused.value)


def test_omitted_fields_of_a_request_have_defaults():
    asked = CompleteRequest.from_json({**GOOD, "count": None, "unknown": 1})
    assert asked == CompleteRequest("a.py:1", Path("/repo"))
    assert SearchRequest.from_json({"query": " x ", "cwd": "/"}) == SearchRequest("x", Path("/"))
    with pytest.raises(InvalidRequest, match="'final'"):
        FeedbackRequest.from_json({"id": "c", "outcome": "edited", "cwd": "/", "final": 3})


def test_the_json_of_an_answer_has_the_documented_fields():
    assert ANSWER.to_json() == {
        "id": "cmpl-1", "completion": "x = 1", "file": "a.py", "line": 1, "column": 5,
        "model": "model", "adapter": "adapter", "index": {"tree": "tree", "fresh": True},
        "snippets": [
            {"path": "b.py", "blob": "oid", "start_line": 3, "end_line": 4, "score": 0.12346,
             "sources": ["dense", "lexical"], "tokens": 9}
        ],
        "prompt_tokens": 100, "finish_reason": "stop", "cached_tokens": 90, "completion_tokens": 5,
        "confidence": None,
        "timings_ms": {"retrieve": 1.3, "prefill": 2.0, "decode": 3.0, "total": 6.3},
    }  # fmt: skip
    explained = ANSWER.to_json(explain=True)["explain"]
    assert explained["prompt_budget"] == [100, 200] and explained["left_out"] == 70
    assert explained["copied"] == {"b.py": 2}
    several = replace(ANSWER, candidates=("x = 1", "y"), several=True)
    assert several.to_json()["candidates"] == ["x = 1", "y"]
