"""Only those who may ask get in, and refused requests reach no protocol."""

from __future__ import annotations

import json
import time

import pytest

from git_copilot.assistant.http import guard, listener
from tests.support.http_server import TOKEN

PATHS = {
    "/v1/completions": {"prompt": "x"},
    "/infill": {"input_prefix": "x", "input_suffix": ""},
    "/v1/fim/completions": {"prompt": "x"},
    "/api/generate": {"prompt": "x", "stream": False},
    "/v1/events": {"type": "view"},
}


@pytest.mark.parametrize(("path", "body"), PATHS.items())
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Host": "attacker.example"}, 403),
        ({"Host": "attacker.example:80"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "https://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_who_may_not_ask_is_refused_in_the_form_of_the_protocol(
    serve_http, path, body, headers, status
):
    running = serve_http()
    answer = running.post(path, body, headers=headers)
    assert answer.status_code == status
    assert running.service.requests == []
    told = answer.json()
    assert TOKEN not in answer.text
    if path.startswith("/api/"):
        assert isinstance(told["error"], str)
    elif path == "/v1/fim/completions":
        assert told["object"] == "error" and told["message"]
    else:
        assert told["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
        {"Authorization": "", "X-Api-Key": TOKEN},
    ],
)
def test_a_token_is_taken_from_either_header(serve_http, headers):
    running = serve_http()
    answer = running.post("/v1/completions", {"prompt": "x"}, headers=headers)
    assert answer.json()["choices"][0]["text"] == "done"


def _completion(running, header):
    """The bytes of a request with a header that careful clients do not send."""
    return (
        f"POST /v1/completions HTTP/1.1\r\nHost: localhost:{running.port}\r\n{header}"
        'Connection: close\r\nContent-Length: 15\r\n\r\n{"prompt": "x"}'
    ).encode()


def test_an_empty_token_is_none(serve_http):
    answer = (running := serve_http()).raw(_completion(running, "Authorization: Bearer \r\n"))
    assert answer.startswith(b"HTTP/1.1 401") and b"a token is needed" in answer


def test_a_token_may_stand_in_the_path(serve_http):
    running = serve_http()
    bare = {"Authorization": ""}
    right = running.post(f"/token/{TOKEN}/v1/completions", {"prompt": "x"}, headers=bare)
    assert right.json()["choices"][0]["text"] == "done"
    assert (
        running.post("/token/no/v1/completions", {"prompt": "x"}, headers=bare).status_code == 401
    )


def test_without_a_token_an_empty_one_is_none(serve_http):
    running = serve_http(token=None)
    for headers in ({}, {"Authorization": "Bearer anything"}):
        assert running.post("/v1/completions", {"prompt": "x"}, headers=headers).is_success
    assert running.raw(_completion(running, "Authorization: Bearer \r\n")).startswith(
        b"HTTP/1.1 200"
    )
    refused = running.post("/v1/completions", {"prompt": "x"}, headers={"Origin": "http://evil"})
    assert refused.status_code == 403


def test_a_browser_gets_no_permission_across_origins(serve_http):
    running = serve_http()
    asked = {
        "Origin": "https://attacker.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    for headers in (asked, {**asked, "Origin": running.url}):
        answer = running.client.options("/v1/completions", headers=headers)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_health_needs_no_token_and_tells_nothing(serve_http):
    running = serve_http()
    answer = running.client.get("/health", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert running.client.get("/metrics", headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(serve_http, monkeypatch, chunked):
    monkeypatch.setattr(guard, "MAX_BODY_BYTES", 2000)
    running = serve_http()
    body = json.dumps({"prompt": "x" * 4000}).encode()
    content = iter([body[:1500], body[1500:]]) if chunked else body
    answer = running.client.post("/v1/completions", content=content)
    assert answer.status_code == 413
    assert running.service.requests == []
    assert running.post("/v1/completions", {"prompt": "x"}).is_success


def test_a_slow_body_is_given_up(serve_http, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    running = serve_http()
    head = (
        f"POST /infill HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n"
    )
    begun = time.monotonic()
    answer = running.raw(head.encode() + b'{"input')
    assert answer.startswith(b"HTTP/1.1 408") and time.monotonic() - begun < 10
    assert running.service.requests == []


def test_headers_that_never_end_are_given_up(serve_http, monkeypatch):
    monkeypatch.setattr(listener, "HEADER_SECONDS", 0.3)
    running = serve_http()
    assert running.raw(b"POST /infill HTTP/1.1\r\nHost: 127.0.0.1\r\n") == b""
    assert running.raw(b"") == b""
    # A connection that is in use stays open behind that time.
    for _ in range(3):
        assert running.post("/v1/completions", {"prompt": "x"}).is_success
        time.sleep(0.2)


def test_a_connection_gives_up_on_the_headers_of_a_later_request_too(serve_http, monkeypatch):
    monkeypatch.setattr(listener, "HEADER_SECONDS", 0.3)
    running = serve_http()
    whole = (
        f"GET /v1/models HTTP/1.1\r\nHost: localhost:{running.port}\r\nX-Api-Key: {TOKEN}\r\n\r\n"
    )
    answer = running.raw(f"{whole}GET /v1/mod".encode())
    assert answer.startswith(b"HTTP/1.1 200") and b"git-copilot" in answer


def test_whoever_shows_no_token_keeps_no_connection(serve_http):
    running = serve_http()
    health = f"GET /health HTTP/1.1\r\nHost: localhost:{running.port}\r\n\r\n"
    assert running.raw(health.encode()).startswith(b"HTTP/1.1 200")


def test_a_bomb_of_headers_is_refused(serve_http):
    running = serve_http()
    bomb = b"GET /health HTTP/1.1\r\n" + b"".join(
        b"X-%d: %s\r\n" % (i, b"y" * 90) for i in range(999)
    )
    assert running.raw(bomb + b"\r\n").startswith(b"HTTP/1.1 400")
    assert running.raw(b"\x16\x03\x01 this is not HTTP\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert running.client.get("/health").is_success


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"prompt": 1}', b'{"prompt": null}',
     b'{"prompt": "x", "max_tokens": "many"}', b'{"prompt": "x", "n": NaN}',
     b'{"prompt": ["a", "b"]}', b'{"prompt": "x", "stop": [1]}', b'{"prompt": "x", "root": "rel"}',
     b'{"prompt": "x", "root": "~nobody-here/x"}', b'{"prompt": "x", "max_tokens": true}'],
)  # fmt: skip
def test_a_body_of_the_wrong_form_is_refused_in_one_line(serve_http, body):
    running = serve_http()
    answer = running.client.post("/v1/completions", content=body)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]["message"]
    assert running.service.requests == []


def test_unknown_paths_and_methods_are_refused(serve_http):
    running = serve_http()
    assert running.post("/v1/chat/completions", {}).status_code == 404
    assert running.client.get("/v1/completions").status_code == 405
    assert running.client.get("/api/nothing").json()["error"].startswith("GET /api/nothing")


def test_websockets_are_refused(serve_http):
    running = serve_http()
    upgrade = (
        f"GET /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    )
    # Without a token it is a request like others.
    assert running.raw(
        upgrade.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode()
    ).startswith(b"HTTP/1.1 401")


def test_refusals_are_logged_without_what_was_sent(serve_http):
    lines = []

    class Log:
        descriptor = -1

        def write(self, message):
            lines.append(message)

        def tidy(self):
            pass

    running = serve_http(log=Log())
    running.post(
        "/v1/completions", {"prompt": "private"}, headers={"Authorization": "Bearer guess"}
    )
    refused = [line for line in lines if "refused" in line]
    assert len(refused) == 1
    assert refused[0].startswith("HTTP: refused 'POST' with 401: the token is wrong")
    assert "guess" not in refused[0] and "private" not in refused[0]


@pytest.mark.parametrize(
    "header", ["Authorization: Bearer wrong\r\n", "Origin: http://evil.example\r\n"]
)
def test_a_client_that_sends_a_large_body_first_reads_why_it_was_refused(serve_http, header):
    running, size = serve_http(), 5 << 20
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: localhost:{running.port}\r\n{header}"
        f"Content-Length: {size}\r\n\r\n"
    )
    answer = running.raw(head.encode() + b"x" * size)
    assert answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 403"))
    assert answer.rstrip().endswith(b"}")


def test_a_refused_client_that_goes_on_sending_is_cut_off(serve_http, monkeypatch):
    monkeypatch.setattr(guard, "DRAIN_SECONDS", 0.2)
    running = serve_http()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: localhost:{running.port}\r\n"
        "Content-Length: 1000000\r\n\r\nx"
    )
    begun = time.monotonic()
    answer = running.raw(head.encode())  # and nothing more: the server ends the connection
    assert answer.startswith(b"HTTP/1.1 401") and time.monotonic() - begun < 5
