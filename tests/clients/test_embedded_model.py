"""Real clients and the default model, as a user has them."""

from __future__ import annotations

import json
import subprocess

import ollama
import openai
import pytest

pytestmark = pytest.mark.model

BEFORE = '''"""Reports."""

from helpers import rounded


def average(values):
    """The mean of some values."""
    total = sum(values)
    return '''


@pytest.fixture
def client(embedded):
    base = f"{embedded.url}/v1"
    with openai.OpenAI(base_url=base, api_key=embedded.token, max_retries=0, timeout=90) as client:
        yield client


def test_openais_client_gets_code_whole_and_in_pieces(client):
    answer = client.completions.create(model="git-copilot", prompt=BEFORE, suffix="\n")
    text = answer.choices[0].text
    assert "total" in text and answer.usage is not None and answer.usage.completion_tokens > 0
    stream = client.completions.create(model="git-copilot", prompt=BEFORE, suffix="\n", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == text


def test_openais_client_gets_distinct_choices(client):
    answer = client.completions.create(
        model="git-copilot", prompt=BEFORE.removesuffix("return "), suffix="\n", n=3
    )
    texts = [choice.text for choice in answer.choices]
    assert 1 < len(texts) <= 3 and len(set(texts)) == len(texts)


def test_ollamas_client_gets_the_same_code(client, embedded):
    answer = client.completions.create(model="git-copilot", prompt=BEFORE, suffix="\n")
    headers = {"Authorization": f"Bearer {embedded.token}"}
    found = ollama.Client(host=embedded.url, headers=headers, timeout=90).generate(
        "git-copilot", BEFORE, suffix="\n"
    )
    assert found.response == answer.choices[0].text


def test_curl_gets_code_with_the_token_in_the_path(embedded):
    request = {"input_prefix": BEFORE.removesuffix("    return "), "input_suffix": "\n",
               "prompt": "    return ", "path": str(embedded.path / "src/report.py")}  # fmt: skip
    url = f"{embedded.url}/token/{embedded.token}/infill"
    done = subprocess.run(
        ["curl", "--silent", "--fail", "--data", json.dumps(request), url],
        capture_output=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0 and "total" in json.loads(done.stdout)["content"]
