"""Ollama's own Python client."""

from __future__ import annotations

import ollama
import pytest


@pytest.fixture
def client(served):
    return ollama.Client(host=served.url, headers={"Authorization": f"Bearer {served.token}"})


def test_a_completion_has_text_and_counts(client, place):
    before, after, written = place
    answer = client.generate("git-copilot", before, suffix=after, options={"num_predict": 32})
    assert (answer.response, answer.done, answer.done_reason) == (written, True, "stop")
    assert answer.prompt_eval_count and answer.eval_count
    assert answer.total_duration and answer.created_at


def test_a_stream_of_lines_is_the_whole_text(client, served, place):
    before, after, _ = place
    text = "abs(\n            self.width * self.height\n        )"
    served.write(text)
    parts = list(client.generate("git-copilot", before, suffix=after, stream=True))
    assert "".join(part.response for part in parts) == text
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert len(parts) > 2


def test_stop_strings_end_the_text(client, place):
    before, after, _ = place
    answer = client.generate("git-copilot", before, suffix=after, options={"stop": [" * self"]})
    assert answer.response == "self.width"


def test_the_model_is_listed_and_fills_in_the_middle(client):
    (model,) = client.list().models
    assert model.model == "git-copilot:latest"
    shown = client.show(model.model)
    assert shown.template is not None and ".Suffix" in shown.template
    assert shown.capabilities is not None and "insert" in shown.capabilities


def test_a_running_model_is_listed(client):
    assert [model.model for model in client.ps().models] == ["git-copilot:latest"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_token_is_a_response_error(served, place, stream):
    client = ollama.Client(host=served.url, headers={"Authorization": "Bearer wrong"})
    with pytest.raises(ollama.ResponseError) as caught:
        list(client.generate("git-copilot", place[0], stream=stream))
    assert caught.value.status_code == 401
    assert caught.value.error.startswith("the token is wrong")
