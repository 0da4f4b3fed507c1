"""Editors that cannot run here: the requests that their source builds, and what they read of the
answers, written down again here."""

from __future__ import annotations

import json

import httpx
import pytest

OTHER = "def doubled(value):\n    return value * 2\n"


@pytest.fixture
def client(served):
    headers = {"Authorization": f"Bearer {served.token}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=30) as client:
        yield client


def test_llama_vscode_shows_a_text_and_its_status_line(client, served, place):
    before, after, written = place
    above, newline, line = before.rpartition("\n")
    chunk = {"text": OTHER, "time": 1_700_000_000, "filename": str(served.path / "src/new.py")}
    request = {
        "id_slot": 0, "input_prefix": above + newline, "input_suffix": after, "input_extra": [chunk],
        "prompt": line, "n_predict": 128, "n_cmpl": 3, "top_k": 40, "top_p": 0.99, "stream": False,
        "samplers": ["top_k", "top_p", "infill"], "cache_prompt": True,
        "n_indent": len(line) - len(line.lstrip()), "t_max_prompt_ms": 500, "t_max_predict_ms": 500,
    }  # fmt: skip
    response = client.post("/infill", json=request)
    answer = response.json()
    assert response.status_code == 200  # any other 2xx is dropped
    assert answer["content"] == written  # of an array, its prefetch would read nothing
    assert answer["generation_settings"]["n_ctx"] > 0 and answer["tokens_cached"] >= 0
    for name in ("prompt_ms", "prompt_per_second", "predicted_ms", "predicted_per_second"):
        assert isinstance(answer["timings"][name], int | float)
    assert answer["timings"]["prompt_n"] + answer["timings"]["predicted_n"] > 0


def test_llama_vscode_prepares_and_looks_whether_the_server_lives(client, served):
    chunk = {"text": OTHER, "time": 1, "filename": "src/new.py"}
    request = {
        "id_slot": 0, "input_prefix": "", "input_suffix": "", "input_extra": [chunk], "prompt": "",
        "n_predict": 0, "samplers": [], "cache_prompt": True, "t_max_prompt_ms": 500,
        "t_max_predict_ms": 1, "lora": [{"id": 0, "scale": 0.5}],
    }  # fmt: skip
    assert client.post("/infill", json=request).status_code == 200
    assert not served.prompts
    assert "status" in client.get("/health").json()


ZED_STOPS = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]


def test_zed_reads_every_field_that_it_requires(client, served, place):
    before, after, written = place
    # Zed sends the text around the cursor that its syntax tree delimits, not the whole file.
    prompt = f"<|fim_prefix|>{before[-200:]}<|fim_suffix|>{after[:80]}<|fim_middle|>"
    request = {"model": "git-copilot", "prompt": prompt, "max_tokens": 64, "stop": ZED_STOPS}
    response = client.post("/v1/completions", json=request)
    answer = response.json()
    assert response.is_success
    assert isinstance(answer["id"], str) and isinstance(answer["object"], str)
    assert isinstance(answer["created"], int) and answer["created"] >= 0
    assert isinstance(answer["model"], str)
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert isinstance(answer["usage"][name], int) and answer["usage"][name] >= 0
    assert answer["choices"][0]["text"] == written
    assert "src/shapes.py" in served.prompts[-1]


def test_zed_through_ollama_reads_response_and_time(client, place):
    before, after, written = place
    prompt = f"<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>"
    request = {
        "model": "git-copilot", "prompt": prompt, "raw": True, "stream": False,
        "options": {"num_predict": 64, "temperature": 0.2, "stop": ZED_STOPS},
    }  # fmt: skip
    answer = client.post("/api/generate", json=request).json()
    assert answer["response"] == written and isinstance(answer["created_at"], str)


def ndjson(response):
    """The lines of a stream, read as Continue and Twinny do."""
    assert response.status_code == 200
    lines = response.text.split("\n")
    assert lines.pop() == ""
    return [json.loads(line) for line in lines]


def test_continue_asks_for_the_template_and_then_fills_in(client, served, place):
    before, after, written = place
    shown = client.post("/api/show", json={"name": "git-copilot"})
    assert shown.status_code == 200
    assert shown.json()["parameters"] == ""  # each line would have to be a name and a value
    assert ".Suffix" in shown.json()["template"]
    # Continue puts other files as comments in front of the text.
    comments = "".join(f"# {line}\n" for line in ("Path: src/new.py", *OTHER.splitlines()))
    request = {
        "model": "git-copilot", "prompt": f"{comments}# src/shapes.py\n{before}", "suffix": after,
        "options": {"temperature": 0.01, "num_predict": 256, "stop": ["\n\n\n", "/src/"],
                    "num_ctx": 8096},
        "keep_alive": 1800, "stream": True,
    }  # fmt: skip
    found = ndjson(client.post("/api/generate", json=request))
    assert not any("error" in each for each in found)
    assert "".join(each["response"] for each in found) == written
    assert "src/shapes.py" in served.prompts[-1]


def test_continue_as_a_client_of_mistral_has_pieces_of_a_message(client, served, place):
    before, after, written = place
    request = {
        "model": "codestral-latest", "prompt": before, "suffix": after, "max_tokens": 256,
        "temperature": 0.01, "stop": ["[PREFIX]", "[SUFFIX]"], "stream": True,
    }  # fmt: skip
    headers = {"x-api-key": served.token, "Authorization": f"Bearer {served.token}"}
    response = client.post("/v1/fim/completions", json=request, headers=headers)
    events = [line.removeprefix("data: ") for line in response.text.split("\n") if line]
    assert events.pop() == "[DONE]"
    text = "".join(json.loads(event)["choices"][0]["delta"]["content"] for event in events)
    assert text == written


def test_twinny_has_pieces_of_a_prompt_that_it_rendered(client, served, place):
    before, after, written = place
    uri = (served.path / "src/shapes.py").as_uri()
    header = f"\n''' Language: Python (python) '''\n''' File uri: {uri} (python) '''\n"
    request = {
        "model": "git-copilot", "prompt": f"<PRE> \n{header}{before} <SUF> {after} <MID>",
        "stream": True, "keep_alive": "5m",
        "options": {"temperature": 0.2, "num_predict": 512},
    }  # fmt: skip
    found = ndjson(client.post("/api/generate", json=request))
    text = "".join(each["response"] for each in found)
    assert text == written and "<EOT>" not in text
    assert "File uri" not in served.prompts[-1] and "src/shapes.py" in served.prompts[-1]


def test_a_header_of_another_origin_is_refused_although_the_token_is_right(client):
    """Editors' web views have an origin; what asks here are their extensions, which have none."""
    refused = client.post("/api/show", json={}, headers={"Origin": "vscode-webview://x"})
    assert refused.status_code == 403
