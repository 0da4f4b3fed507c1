"""OpenAI's own Python client."""

from __future__ import annotations

import openai
import pytest


@pytest.fixture
def client(served):
    with openai.OpenAI(
        base_url=f"{served.url}/v1", api_key=served.token, max_retries=0, timeout=30
    ) as client:
        yield client


def test_a_completion_has_text_reason_and_usage(client, place):
    before, after, written = place
    answer = client.completions.create(
        model="git-copilot", prompt=before, suffix=after, max_tokens=32
    )
    assert answer.object == "text_completion"
    assert answer.choices[0].text == written
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_text_without_a_path_is_found_in_its_file(client, served, place):
    before, after, _ = place
    client.completions.create(
        model="git-copilot", prompt=before[before.index("class") :], suffix=after
    )
    assert "src/shapes.py" in served.prompts[-1]


def test_a_stream_of_pieces_is_the_whole_text(client, served, place):
    before, after, _ = place
    text = "self._rounded(\n            self.width * self.height\n        )"
    served.write(text)
    chunks = list(
        client.completions.create(
            model="git-copilot", prompt=before, suffix=after, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    pieces = [chunk.choices[0].text for chunk in chunks if chunk.choices]
    assert "".join(pieces) == text
    assert len([piece for piece in pieces if piece]) > 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None


def test_a_rendered_prompt_is_the_same_as_its_parts(client, served, place):
    before, after, written = place
    parts = client.completions.create(model="any-name", prompt=before, suffix=after)
    rendered = client.completions.create(
        model="any-name",
        prompt=f"<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>",
    )
    assert rendered.choices[0].text == parts.choices[0].text == written
    assert len(set(served.prompts)) == 1
    assert "<|fim_prefix|>" not in served.prompts[-1]


def test_stop_strings_end_the_text(client, place):
    before, after, _ = place
    answer = client.completions.create(
        model="git-copilot", prompt=before, suffix=after, stop=[" * self", "never"]
    )
    assert answer.choices[0].text == "self.width"


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_token_is_an_authentication_error(served, place, stream):
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError) as caught:
        client.completions.create(model="m", prompt=place[0], stream=stream)
    assert caught.value.type == "authentication_error"
    assert served.token not in str(caught.value)


def test_a_bad_request_is_a_bad_request_error(client):
    with pytest.raises(openai.BadRequestError, match="'prompt' must be one string"):
        client.completions.create(model="m", prompt=["one", "two"])


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["git-copilot"]
