"""OpenAI's completions and Mistral's, streamed and not."""

from __future__ import annotations

import json

import pytest

from tests.support.http_server import fill_answer

ZED = {"id", "object", "created", "model", "choices", "usage"}


def events(text):
    """The objects of server-sent events, and whether the end was marked."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [json.loads(line) for line in lines[:-1]], lines[-1] == "[DONE]"


def test_an_answer_has_every_field_that_clients_need(serve_http):
    running = serve_http()
    body = {"model": "m", "prompt": "a", "suffix": "b", "max_tokens": 16, "stop": ["\n\n"]}
    answer = running.post("/v1/completions", body).json()
    assert set(answer) == ZED
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [
        {"index": 0, "text": "done", "logprobs": None, "finish_reason": "stop"}
    ]
    assert answer["usage"] == {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
    (request,) = running.service.requests
    assert (request.prefix, request.suffix, request.max_tokens) == ("a", "b", 16)


def test_a_rendered_prompt_is_taken_apart(serve_http):
    running = serve_http()
    prompt = "<|fim_prefix|>a\n<|fim_suffix|>\nb<|fim_middle|>"
    running.post("/v1/completions", {"prompt": prompt})
    running.post("/v1/completions", {"prompt": prompt, "suffix": "text about tokens"})
    first, second = running.service.requests
    assert (first.prefix, first.suffix) == ("a\n", "\nb")
    assert (second.prefix, second.suffix) == (prompt, "text about tokens")


def test_files_of_a_rendered_prompt_are_open_texts(serve_http):
    running = serve_http()
    prompt = (
        "<|repo_name|>demo\n<|file_sep|>lib/util.py\ndef help(): ...\n<|file_sep|>app.py\n"
        "<|fim_prefix|>import util\n<|fim_suffix|><|fim_middle|>"
    )
    running.post("/v1/completions", {"prompt": prompt})
    (request,) = running.service.requests
    assert request.path == "app.py" and request.prefix == "import util\n"
    assert [(t.path, t.text) for t in request.open_texts] == [("lib/util.py", "def help(): ...\n")]


def test_comments_of_a_client_in_front_of_the_text_tell_the_language(serve_http):
    running = serve_http()
    head = "# language: python\n# indentation: use 4 spaces for a tab\n"
    running.post("/v1/completions", {"prompt": f"{head}import os\n", "suffix": ""})
    running.post("/v1/completions", {"prompt": "// language: typescript\nlet a = ", "suffix": ""})
    first, second = running.service.requests
    assert (first.prefix, first.language) == ("import os\n", "python")
    assert (second.prefix, second.language) == ("let a = ", "typescript")


def test_several_candidates_are_distinct(serve_http):
    running = serve_http(lambda *_: fill_answer("a\nb", "a\nc", "d"))
    answer = running.post("/v1/completions", {"prompt": "x", "n": 3, "stop": "\n"}).json()
    assert [(c["index"], c["text"]) for c in answer["choices"]] == [(0, "a"), (1, "d")]
    assert running.service.requests[0].count == 3


def test_a_stream_ends_with_a_reason_usage_and_a_mark(serve_http):
    running = serve_http(lambda *_: fill_answer("two\nlines", finish="length"))
    answer = running.post("/v1/completions", {"prompt": "x", "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    found, ended = events(answer.text)
    assert ended
    assert "".join(each["choices"][0]["text"] for each in found) == "two\nlines"
    assert [each["choices"][0]["finish_reason"] for each in found] == [None, "length"]
    assert found[-1]["usage"]["total_tokens"] == 23
    body = {"prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
    found, _ = events(running.post("/v1/completions", body).text)
    assert found[-1]["choices"] == [] and found[-1]["usage"]["prompt_tokens"] == 20


def test_lines_are_streamed_while_they_are_written(serve_http):
    def write(request, callbacks):
        callbacks.on_text("one")
        callbacks.on_text("one\ntwo")
        return fill_answer("one\ntwo\nthree")

    running = serve_http(write)
    found, _ = events(running.post("/v1/completions", {"prompt": "x", "stream": True}).text)
    assert [each["choices"][0]["text"] for each in found] == ["one", "\ntwo", "\nthree", ""]


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_text_has_a_status(serve_http, stream):
    def fail(request, callbacks):
        raise ZeroDivisionError("private")

    answer = serve_http(fail).post("/v1/completions", {"prompt": "x", "stream": stream})
    assert answer.status_code == 500
    assert "unexpected ZeroDivisionError" in answer.json()["error"]["message"]


def test_a_failure_in_a_stream_is_an_event(serve_http):
    def fail(request, callbacks):
        callbacks.on_text("one")
        raise ZeroDivisionError("private")

    answer = serve_http(fail).post("/v1/completions", {"prompt": "x", "stream": True})
    found, ended = events(answer.text)
    assert ended and found[-1]["error"]["message"].startswith("unexpected ZeroDivisionError")


def test_models_lists_one(serve_http):
    running = serve_http()
    for path in ("/v1/models", "/models"):
        assert [each["id"] for each in running.client.get(path).json()["data"]] == ["git-copilot"]


def test_mistral_answers_with_a_message(serve_http):
    running = serve_http()
    body = {"model": "codestral", "prompt": "a", "suffix": "b", "max_tokens": 8}
    answer = running.post("/v1/fim/completions", body).json()
    choice = answer["choices"][0]
    assert choice["message"]["content"] == "done" and choice["finish_reason"] == "stop"
    assert answer["object"] == "chat.completion" and answer["usage"]["total_tokens"] == 23
    found, ended = events(running.post("/fim/completions", {**body, "stream": True}).text)
    assert ended and found[0]["choices"][0]["delta"]["content"] == "done"
    assert found[-1]["choices"][0]["finish_reason"] == "stop" and "usage" in found[-1]
    assert running.post("/v1/fim/completions", {}).json()["object"] == "error"
