"""Connections to a server: kept alive, through the environment's proxy, and bounded in time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from git_copilot.assistant.remote.http_client import Endpoint, EndpointError, SlowAnswer
from tests.support.replay_server import chunk

DONE = "data: [DONE]\n\n"


@contextmanager
def server(*parts, pause=0.0):
    """A server that streams ``parts`` in chunks; gives the address, the clients' addresses and
    the request lines. ``pause`` is in seconds, before each part."""
    clients, lines = [], []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            clients.append(self.client_address)
            lines.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in parts:
                time.sleep(pause)
                data = part.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *args):
            pass

        def finish(self):
            with suppress(OSError):  # the client left
                super().finish()

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args):
            pass

    with Quiet(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}", clients, lines
        finally:
            listener.shutdown()


def texts(endpoint, **more):
    parts = endpoint.stream("/completions", {}, **more)
    return [event["choices"][0]["text"] for event in parts]


@pytest.mark.parametrize("end", [DONE, ""])
def test_one_connection_serves_many_completions(end):
    with server(chunk("a"), chunk("b", "stop"), end or ": no mark\n\n") as (url, clients, _):
        endpoint = Endpoint(url, "", 10)
        for _ in range(5):
            assert texts(endpoint) == ["a", "b"]
    assert len(clients) == 5 and len(set(clients)) == 1


def test_a_completion_that_is_given_up_closes_its_connection():
    with server(chunk("a"), chunk("b"), chunk("c", "stop"), pause=0.1) as (url, clients, _):
        endpoint = Endpoint(url, "", 10)
        events = endpoint.stream("/completions", {})
        next(events)
        events.close()
        assert texts(endpoint) == ["a", "b", "c"]
    assert len(set(clients)) == 2


def test_line_separators_of_unicode_end_no_event():
    event = json.dumps({"choices": [{"text": "a\u2028b\x85c", "finish_reason": "stop"}]})
    event = event.replace("\\u2028", "\u2028").replace("\\u0085", "\x85")
    with server(f"data: {event}\n\n", DONE) as (url, _, _):
        assert texts(Endpoint(url, "", 10)) == ["a\u2028b\x85c"]


def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(monkeypatch):
    with server(chunk("a", "stop"), DONE) as (url, _, lines):
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert texts(Endpoint("http://models.invalid:8000", "", 10)) == ["a"]
        assert lines.pop() == "http://models.invalid:8000/v1/completions"
        assert texts(Endpoint(url, "", 10)) == ["a"]
        assert lines.pop() == "/v1/completions"


def test_a_proxy_that_makes_no_sense_is_said(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "gopher://proxy:1")
    with pytest.raises(EndpointError, match=r"a proxy that cannot be used.*HTTP_PROXY"):
        Endpoint("http://models.invalid", "", 10)


def test_the_time_is_for_the_whole_answer_and_not_for_each_part():
    parts = [chunk("a"), *[": still here\n\n"] * 60]
    with server(*parts, pause=0.1) as (url, _, _):
        begun = time.monotonic()
        events = Endpoint(url, "", 10).stream("/completions", {}, seconds=0.6)
        assert next(events)["choices"][0]["text"] == "a"
        with pytest.raises(TimeoutError):
            next(events)
        with pytest.raises(SlowAnswer, match=r"longer than 0\.6 s"):
            texts(Endpoint(url, "", 0.6))
        assert time.monotonic() - begun < 4


def test_without_a_server_httpx_is_not_imported():
    code = (
        "import sys; from git_copilot.assistant.completion import complete, session; "
        "from git_copilot.assistant.remote import http_client, remote_engine; "
        "print('httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
