"""Ollama's API and Tabby's."""

from __future__ import annotations

import json

from tests.support.http_server import fill_answer


def lines(answer):
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_ollama_streams_lines_unless_it_is_told_not_to(serve_http):
    running = serve_http(lambda *_: fill_answer("a\nb", finish="length"))
    body = {
        "model": "git-copilot:latest",
        "prompt": "x",
        "suffix": "y",
        "options": {"num_predict": 9},
    }
    found = lines(running.post("/api/generate", body))
    assert [each["response"] for each in found] == ["a\nb", ""]
    assert [each["done"] for each in found] == [False, True]
    assert found[-1]["done_reason"] == "length" and found[-1]["eval_count"] == 3
    assert found[-1]["eval_duration"] == 4_000_000
    whole = running.post("/api/generate", {**body, "stream": False}).json()
    assert whole["response"] == "a\nb" and whole["done"] and whole["created_at"].endswith("Z")
    first = running.service.requests[0]
    assert (first.prefix, first.suffix, first.max_tokens) == ("x", "y", 9)


def test_ollama_takes_a_rendered_prompt_and_stop_strings(serve_http):
    running = serve_http(lambda *_: fill_answer("a b\nc"))
    body = {"prompt": "<PRE> one <SUF>two <MID>", "stream": False, "options": {"stop": ["\n"]}}
    assert running.post("/api/generate", body).json()["response"] == "a b"
    (request,) = running.service.requests
    assert (request.prefix, request.suffix) == ("one", "two")


def test_ollama_without_a_prompt_loads_the_model(serve_http):
    running = serve_http()
    assert lines(running.post("/api/generate", {"model": "m"}))[0]["done_reason"] == "load"
    assert running.service.requests == []


def test_ollama_shows_a_model_that_fills_in_the_middle(serve_http):
    running = serve_http()
    assert ".Suffix" in running.post("/api/show", {"name": "m"}).json()["template"]
    assert running.client.get("/api/tags").json()["models"][0]["name"] == "git-copilot:latest"
    assert running.client.get("/api/version").json()["version"]
    assert running.client.get("/").text == "Ollama is running"
    assert running.client.head("/").status_code == 200


def test_ollamas_errors_are_texts(serve_http):
    running = serve_http()
    assert isinstance(running.post("/api/generate", {"prompt": 1}).json()["error"], str)


def tabby(**more):
    segments = {"prefix": "a", "suffix": "b", "filepath": "src/app.py", **more}
    return {"language": "python", "segments": segments}


def test_tabby_sends_segments_with_snippets(serve_http):
    running = serve_http()
    body = tabby(
        declarations=[{"filepath": "file:///x/b.py", "body": "class B: ..."}],
        relevant_snippets_from_changed_files=[{"filepath": "c.py", "body": "c = 1", "score": 1.0}],
    )
    answer = running.post("/v1/completions", body).json()
    assert answer["choices"] == [{"index": 0, "text": "done"}] and answer["id"] == "cmpl-1"
    (request,) = running.service.requests
    assert (request.path, request.language) == ("src/app.py", "python")
    assert [each.text for each in request.open_texts] == ["c = 1", "class B: ..."]


def test_tabbys_events_are_reports_of_the_repository_that_answered(serve_http, tmp_path):
    running = serve_http(lambda *_: fill_answer("done", root=tmp_path))
    report = {"type": "select", "completion_id": "cmpl-1", "choice_index": 0, "elapsed": 5}
    assert running.post("/v1/events", report).text == ""
    assert running.service.reports == [], "nobody asked yet"
    running.post("/v1/completions", tabby())
    running.post("/v1/events", {**report, "type": "view"})
    running.post("/v1/events", report)
    running.post("/v1/events", {**report, "type": "dismiss"})
    assert [(r.completion_id, r.outcome, r.folder) for r in running.service.reports] == [
        ("cmpl-1", "accepted", tmp_path), ("cmpl-1", "rejected", tmp_path),
    ]  # fmt: skip


def test_tabbys_health_is_got_and_posted(serve_http):
    running = serve_http()
    assert running.client.get("/v1/health").json()["version"]["git_describe"].startswith("v0.")
    assert running.client.post("/v1/health").json()["model"] == "git-copilot"
    setting = running.client.get("/v1beta/server_setting").json()
    assert setting == {"disable_client_side_telemetry": True}


def test_tabby_without_a_prefix_is_refused(serve_http):
    running = serve_http()
    assert running.post("/v1/completions", {"segments": {"suffix": ""}}).status_code == 400
    assert running.post("/v1/completions", {"segments": []}).status_code == 400
