"""The warm server as the language server asks it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from git_copilot.assistant.client.shutdown import stop_server
from git_copilot.assistant.lsp import warm_server
from git_copilot.assistant.lsp.warm_server import ServerExchange, WarmServer
from git_copilot.index.core.errors import CopilotError
from tests.support.stdio_client import eventually

REQUEST = {"location": "a.py:1", "cwd": "/"}


def complete():
    return ServerExchange("complete", lambda: REQUEST)


def test_a_reply(script):
    reply = WarmServer().ask(complete(), Path("/"))
    assert reply["answer"]["completion"] == "done()"


def test_an_exchange_that_is_given_up_ends_and_stops_the_server(script):
    script.gate.clear()
    exchange, replies = complete(), []
    thread = threading.Thread(target=lambda: replies.append(WarmServer().ask(exchange, Path("/"))))
    thread.start()
    eventually(lambda: script.requests)
    exchange.give_up()
    thread.join(5)
    assert replies == [None]
    eventually(lambda: script.cancelled)


def test_an_exchange_that_was_given_up_before_asks_nothing(script):
    exchange = complete()
    exchange.give_up()
    assert WarmServer().ask(exchange, Path("/")) is None
    assert script.requests == []


def test_a_server_is_started_once_by_many(runtime):
    server, replies = WarmServer(), []

    def ask():
        replies.append(server.ask(complete(), Path("/")))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(replies) == 3 and server.starts == 1
        assert all("a.py" in str(reply["error"]) for reply in replies)
    finally:
        stop_server()


def test_a_start_that_failed_is_told_and_not_repeated_at_once(runtime, monkeypatch):
    monkeypatch.setattr(warm_server.sys, "executable", "/bin/false")
    server = WarmServer()
    for _ in range(2):
        with pytest.raises(CopilotError, match="the server did not start") as caught:
            server.ask(complete(), Path("/"))
        assert "serve --foreground" in caught.value.hint
    assert server.starts == 1


def test_a_request_that_servers_die_of_starts_no_more_of_them(runtime, monkeypatch):
    server, starts = WarmServer(), []
    start = server._start
    monkeypatch.setattr(ServerExchange, "run", lambda exchange: None)
    monkeypatch.setattr(server, "_start", starts.append)
    with pytest.raises(CopilotError, match="ended while it answered"):
        server.ask(complete(), Path("/"))
    assert len(starts) == 2
    monkeypatch.setattr(server, "_start", start)
    with pytest.raises(CopilotError, match="ended while it answered"):
        server.ask(complete(), Path("/"))
    assert server.starts == 0


def test_a_server_that_may_not_be_asked(runtime, monkeypatch):
    monkeypatch.setenv("GIT_COPILOT_SERVER", "0")
    with pytest.raises(CopilotError, match="GIT_COPILOT_SERVER=0") as caught:
        WarmServer().ask(complete(), Path("/"))
    assert caught.value.hint == "unset it for the editor"
