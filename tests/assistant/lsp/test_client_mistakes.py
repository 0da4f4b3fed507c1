"""What a client gets wrong is answered in one line, and is not a bug of the server."""

from __future__ import annotations

import os
import subprocess

import pytest

from git_copilot.assistant.core.config import log_dir
from git_copilot.assistant.lsp.items import ACCEPTED
from tests.support.commands import BIN

INLINE = "textDocument/inlineCompletion"
EMPTY = {"items": []}
PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602


@pytest.fixture
def document(client, script, source):
    """The URI of an open document."""
    client.open(source.as_uri(), "x = \n")
    return source.as_uri()


def error_of(client, method, params):
    return client.wait(client.send(method, params))["error"]


def frame(body):
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def write(client, data):
    client.process.stdin.write(data)
    client.process.stdin.flush()


def ask(client, uri):
    return client.call(INLINE, client.inline(uri, 0, 4))


def logged(client):
    return [told["message"] for told in client.told("window/logMessage")]


def test_mistakes_are_logged_once_for_each_method_and_never_as_bugs(client, document):
    for _ in range(3):
        assert error_of(client, "no/such", {})["code"] == METHOD
        assert error_of(client, INLINE, {})["code"] == PARAMS
        assert error_of(client, "workspace/executeCommand", {"command": "other"})["code"] == PARAMS
        client.notify("textDocument/didChange", {"nonsense": True})
        client.notify("textDocument/didFocus", {"textDocument": {"uri": 3}})
    assert len(ask(client, document)["items"]) == 1
    told = logged(client)  # the answer came behind them
    methods = {"no/such", INLINE, "workspace/executeCommand", "textDocument/didChange"}
    methods.add("textDocument/didFocus")
    assert len(told) == len(methods) == len({line.partition(": refused ")[2] for line in told})
    assert all(any(method in line for line in told) for method in methods)
    assert not any("unexpected" in line for line in told)
    assert {note["type"] for note in client.told("window/logMessage")} == {4}
    assert not (log_dir() / "errors.log").exists()


def test_a_bug_is_reported(client, document, monkeypatch):
    monkeypatch.setattr("git_copilot.assistant.lsp.server.position_of", lambda _: 1 / 0)
    error = error_of(client, INLINE, client.inline(document, 0, 4))
    assert "ZeroDivisionError" in error["message"] and not error.get("data")
    client.wait_until(lambda: client.notes)
    assert "unexpected" in logged(client)[0] and (log_dir() / "errors.log").exists()


@pytest.mark.parametrize("context", [[1], "x", 7, {"selectedCompletionInfo": []}, None, [], {}])
def test_a_wrong_context_is_refused_in_one_line(client, document, context):
    params = {**client.inline(document, 0, 4), "context": context}
    reply = client.wait(client.send(INLINE, params))
    if context and not isinstance(context, dict):
        assert reply["error"] == {"code": PARAMS, "message": "context is not an object"}
    else:
        assert len(reply["result"]["items"]) == 1


@pytest.mark.parametrize("span", [None, [], [1], {"start": []}, {"start": {"line": "0"}}])
def test_a_wrong_range_of_the_menu_is_refused(client, document, span):
    info = {"text": "x", "range": span}
    params = client.inline(document, 0, 4, selectedCompletionInfo=info)
    assert error_of(client, INLINE, params)["code"] == PARAMS


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("workspace/executeCommand", {}),
        ("workspace/executeCommand", None),
        ("workspace/executeCommand", {"command": ACCEPTED, "arguments": 7}),
        ("notifyAccepted", []),
        ("getCompletions", {"doc": []}),
    ],
)
def test_requests_with_other_parameters_are_answered(client, method, params):
    error = error_of(client, method, params)
    assert error["code"] == PARAMS and "\n" not in error["message"] and not error.get("data")


def test_feedback_in_another_form_changes_nothing(client):
    for params in (None, [], {"uuids": 7}, {"uuids": [{}]}):
        assert client.call("notifyRejected", params) == "OK"


def test_a_path_that_no_file_can_have_gets_nothing(client, script, source):
    for name in ("x" * 300 + ".py", "/".join(["deep"] * 1500) + ".py"):
        uri = (source.parent / name).as_uri()
        client.open(uri, "x = \n")
        assert ask(client, uri) == EMPTY
    client.open("file:///a\ud800.py", "x = \n")
    assert ask(client, "file:///a\ud800.py") == EMPTY
    assert script.requests == [] and client.told("window/showMessage") == []
    assert not (log_dir() / "errors.log").exists()


@pytest.mark.timeout(60)
def test_a_pipe_that_is_open_as_a_document_is_not_waited_for(client, document, source):
    pipe = source.parent / "pipe.py"
    os.mkfifo(pipe)
    client.open(pipe.as_uri(), "y = 1\n")
    assert len(ask(client, document)["items"]) == 1


def test_after_shutdown_requests_are_refused_until_exit(client, document):
    client.call("shutdown", None)
    for method in (INLINE, "shutdown", "no/such"):
        error = error_of(client, method, client.inline(document, 0, 4))
        assert error == {"code": REQUEST, "message": "the server was shut down"}
    client.notify("textDocument/didSave", {})
    client.notify("exit", None)
    assert client.process.wait(10) == 0


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Length: abc\r\n\r\n{}",
        b"Content-Length: -5\r\n\r\n{}",
        b"Content-Length: 0\r\n\r\n{}",
        b"Content-Length: 999999999999\r\n\r\n{}",
        b"Content-Length: 9999999999\r\n\r\n{}",
        b'Content-Length: 3\r\n\r\n{"jsonrpc": "2.0"}',
        b"\r\n\r\nnonsense\n\xff",
        frame(b"not JSON"),
        frame(b"[" * 100_000),
        frame(b"\xff\xfe"),
        frame(b"[]"),
        frame(b"7"),
        frame(b"{}"),
        frame(b'{"jsonrpc": "1.0", "method": "initialized"}'),
        frame(b'{"jsonrpc": "2.0", "method": ["x"], "id": []}'),
        frame(b'{"jsonrpc": "2.0", "id": "unknown", "result": 7}'),
    ],
)
def test_the_messages_behind_a_broken_one_are_answered(client, document, broken):
    write(client, broken)
    assert len(ask(client, document)["items"]) == 1
    assert len(ask(client, document)["items"]) == 1
    assert len(logged(client)) <= 1 and not (log_dir() / "errors.log").exists()


def test_a_request_of_another_version_is_refused(client):
    write(client, frame(b'{"jsonrpc": "1.0", "method": "shutdown", "id": "old"}'))
    assert client.wait("old")["error"]["code"] == REQUEST


@pytest.mark.parametrize("header", [b"content-length:%d\r\n", b"X: y\r\nContent-Length:  %d \r\n"])
def test_headers_in_other_spellings_are_read(client, header):
    body = b'{"jsonrpc": "2.0", "method": "getVersion", "id": "mine"}'
    write(client, header % len(body) + b"\r\n" + body)
    assert client.wait("mine")["result"]["version"]


@pytest.mark.e2e
def test_mistakes_write_nothing_to_standard_error(start_client, runtime):
    client = start_client(
        command=[str(BIN / "git-copilot"), "lsp"], stderr=subprocess.PIPE, bufsize=0
    )
    client.initialize()
    for _ in range(3):
        error_of(client, "no/such", {})
        error_of(client, "workspace/executeCommand", {})
    client.call("shutdown", None)
    client.notify("exit", None)
    assert client.process.wait(10) == 0
    assert client.process.stderr.read() == b""
