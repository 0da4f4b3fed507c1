"""Requests over HTTP are cancelled, shared, counted and recorded like those of the socket."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from git_copilot.assistant.service import request_queue
from git_copilot.index.core.errors import ModelError
from tests.support.http_server import TOKEN, fill_answer


class Slow:
    """Works until it is told to end or nobody needs the answer."""

    def __init__(self):
        self.running, self.finish, self.cancelled = (threading.Event() for _ in range(3))
        self.calls = 0

    def __call__(self, request, callbacks):
        self.calls += 1
        self.running.set()
        while not self.finish.wait(0.001):
            if callbacks.is_cancelled():
                self.cancelled.set()
                return fill_answer("partial")
        return fill_answer("whole")


def post_later(running, body, answers):
    thread = threading.Thread(target=lambda: answers.append(running.post("/v1/completions", body)))
    thread.start()
    return thread


@pytest.mark.parametrize("stream", ["false", "true"])
def test_closing_the_connection_cancels(serve_http, stream):
    slow = Slow()
    running = serve_http(slow)
    body = f'{{"prompt": "x", "stream": {stream}}}'
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(
            f"POST /v1/completions HTTP/1.1\r\nHost: localhost:{running.port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert slow.running.wait(5)
    assert slow.cancelled.wait(5)
    deadline = time.monotonic() + 5
    while 'outcome="cancelled",protocol="openai"} 1.0' not in running.client.get("/metrics").text:
        assert time.monotonic() < deadline


def test_a_later_request_at_the_same_place_drops_the_earlier_one(serve_http):
    slow = Slow()
    running = serve_http(lambda r, c: slow(r, c) if r.prefix == "x" else fill_answer("later"))
    answers = []
    thread = post_later(running, {"prompt": "x", "suffix": "\nend", "path": "a.py"}, answers)
    assert slow.running.wait(5)
    later = {"prompt": "xy", "suffix": "\nend", "path": "a.py"}
    assert running.post("/v1/completions", later).json()["choices"][0]["text"] == "later"
    thread.join(5)
    assert answers[0].status_code == 409 and "superseded" in answers[0].json()["error"]["message"]


def test_equal_requests_share_one_computation(serve_http):
    slow = Slow()
    running = serve_http(slow)
    answers = []
    threads = [post_later(running, {"prompt": "x"}, answers) for _ in range(3)]
    assert slow.running.wait(5)
    deadline = time.monotonic() + 5
    while running.server.queue.waiting < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    slow.finish.set()
    for thread in threads:
        thread.join(5)
    assert [each.json()["choices"][0]["text"] for each in answers] == ["whole"] * 3
    assert slow.calls == 1


def test_a_full_queue_says_when_to_come_again(serve_http, monkeypatch):
    monkeypatch.setattr(request_queue, "MAX_WAITING", 1)
    slow = Slow()
    running = serve_http(slow)
    answers = []
    thread = post_later(running, {"prompt": "x"}, answers)
    assert slow.running.wait(5)
    refused = running.post("/v1/completions", {"prompt": "other", "path": "b.py"})
    assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
    slow.finish.set()
    thread.join(5)
    assert answers[0].is_success


def test_what_the_user_can_correct_is_told_in_one_line(serve_http):
    def fail(request, callbacks):
        raise ModelError("the model is not here", "`git copilot model pull` fetches it")

    answer = serve_http(fail).post("/v1/completions", {"prompt": "x"})
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == (
        "the model is not here; `git copilot model pull` fetches it"
    )


def test_an_answer_is_recorded_once_it_is_sent(serve_http):
    recorded = threading.Event()

    def run(request, callbacks):
        running.service.session.defer(recorded.set)
        return fill_answer("done")

    running = serve_http(run)
    assert running.post("/v1/completions", {"prompt": "x"}).is_success
    assert recorded.wait(5)


def test_metrics_count_without_names_or_texts(serve_http):
    running = serve_http(lambda *_: fill_answer("private_text"))
    running.post(
        "/infill", {"input_prefix": "private_prefix", "input_suffix": "", "path": "private.py"}
    )
    running.post("/v1/completions", {"prompt": "x"})
    text = running.client.get("/metrics").text
    assert 'git_copilot_requests_total{outcome="answered",protocol="llama.cpp"} 1.0' in text
    for name in ("time_to_first_token_seconds_count 2.0", 'tokens_total{kind="cached"} 10.0',
                 "decoded_tokens_per_second_count 2.0", "waiting_requests 0.0", "resident_bytes"):  # fmt: skip
        assert f"git_copilot_{name}" in text
    assert "private" not in text


def test_the_folder_of_the_server_is_the_last_to_look_in(serve_http, tmp_path):
    running = serve_http(folder=tmp_path)
    root = str(tmp_path / "named")
    running.post("/v1/completions", {"prompt": "x"})
    running.post("/v1/completions", {"prompt": "x", "root": root})
    running.post("/v1/completions", {"prompt": "x"}, params={"root": root})
    first, second, third = (request.folders for request in running.service.requests)
    assert first == (tmp_path,)
    assert second == third == (tmp_path / "named", tmp_path)


def test_stopping_waits_for_what_is_being_answered(serve_http):
    def run(request, callbacks):
        time.sleep(0.5)
        return fill_answer("whole")

    running = serve_http(run)
    answers = []
    thread = post_later(running, {"prompt": "x"}, answers)
    while not running.service.requests:
        time.sleep(0.01)
    running.server.end("test")
    thread.join(10)
    assert answers[0].json()["choices"][0]["text"] == "whole"
    running.thread.join(10)
    assert not running.thread.is_alive()


def test_huge_numbers_are_limits(serve_http):
    running = serve_http()
    body = b'{"prompt": "x", "max_tokens": ' + b"9" * 4000 + b', "n": 1e300}'
    assert running.client.post("/v1/completions", content=body).is_success
    (request,) = running.service.requests
    assert (request.max_tokens, request.count) == (2048, 16)


def test_an_end_of_iteration_in_the_service_is_answered(serve_http):
    def run(request, callbacks):
        return next(iter(()))

    assert serve_http(run).post("/v1/completions", {"prompt": "x"}).status_code == 500
