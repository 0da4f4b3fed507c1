"""The Copilot language server's messages, as its clients send them.

The parameters are those that copilot.lua 760912b, copilot.el 277ca35, sidekick.nvim 8ad0ede and
nvim-lspconfig's ``copilot`` build.
"""

from __future__ import annotations

import pytest

from tests.assistant.lsp.conftest import EDITOR
from tests.support.stdio_client import eventually

TEXT = "def f(a):\n    é = f()\n"
LINE, CHARACTER = 1, 10  # between the brackets


@pytest.fixture
def uri(source):
    return source.as_uri()


@pytest.fixture
def copilot(copilot_client, script, uri):
    copilot_client.open(uri, TEXT)
    return copilot_client


def document(uri):
    """What copilot.lua's ``util.get_doc_params`` builds."""
    doc = {
        "uri": uri,
        "version": 4,
        "relativePath": "a.py",
        "insertSpaces": True,
        "tabSize": 4,
        "indentSize": 4,
        "position": {"line": LINE, "character": CHARACTER},
    }
    text_document = {key: doc[key] for key in ("uri", "version", "relativePath")}
    return {
        "doc": doc,
        "textDocument": text_document,
        "position": doc["position"],
        "_": True,
    }


def inline(uri, kind):
    """What copilot.el's ``copilot--inline-completion-params`` builds."""
    return {
        "textDocument": {"uri": uri},
        "position": {"line": LINE, "character": CHARACTER},
        "context": {"triggerKind": kind},
        "formattingOptions": {"tabSize": 4, "insertSpaces": True},
    }


@pytest.mark.parametrize("params", [{}, {"_": True}, {"options": {"localChecksOnly": True}}, None])
def test_requests_that_always_have_the_same_answer(params, copilot_client):
    answers = {
        "checkStatus": {"status": "OK", "user": "local"},
        "signIn": {"status": "AlreadySignedIn", "user": "local"},
        "signInInitiate": {"status": "AlreadySignedIn", "user": "local"},
        "signInConfirm": {"status": "OK", "user": "local"},
        "signOut": {"status": "NotSignedIn"},
        "copilot/models": [],
        "textDocument/copilotInlineEdit": {"edits": []},
        "setEditorInfo": "OK",
        "notifyShown": "OK",
    }
    assert {method: copilot_client.call(method, params) for method in answers} == answers


def test_the_command_of_accepted_items_is_offered(start_client):
    """Clients send commands only that the server lists."""
    capabilities = start_client().initialize(EDITOR)["capabilities"]
    commands = capabilities["executeCommandProvider"]["commands"]
    assert commands == ["gitCopilot.accepted", "github.copilot.didAcceptCompletionItem"]


def test_the_version_is_told(copilot_client):
    assert copilot_client.call("getVersion", {"_": True})["version"]


def test_positions_are_utf16_whatever_the_client_offers(start_client):
    offered = {"general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]}}
    client = start_client()
    assert client.initialize(EDITOR, offered)["capabilities"]["positionEncoding"] == "utf-16"
    assert start_client().initialize(None, offered)["capabilities"]["positionEncoding"] == "utf-8"


def test_copilot_lua(copilot, script, uri):
    script.answer = {"completion": "a", "candidates": ["a", "b"]}
    copilot.notify("workspace/didChangeConfiguration", {"settings": {"github": {"copilot": {}}}})
    copilot.notify("$/setTrace", {"value": "off"})
    (item,) = copilot.call("getCompletions", document(uri))["completions"]
    assert item == {
        "uuid": "cmpl-1",
        "text": "    é = f(a)",
        "displayText": "a",
        "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 11}},
        "position": {"line": LINE, "character": CHARACTER},
    }
    items = copilot.call("getCompletionsCycling", document(uri))["completions"]
    assert [x["displayText"] for x in items] == ["a", "b"]
    assert [x.automatic for x in script.requests] == [True, False]
    assert copilot.call("notifyShown", {"uuid": "cmpl-1", "_": True}) == "OK"
    # It takes what stands behind the cursor off the text that it reports the length of.
    accepted = {"uuid": "cmpl-1", "acceptedLength": len("    é = f(a"), "_": True}
    assert copilot.call("notifyAccepted", accepted) == "OK"
    rejected = {"uuids": [items[0]["uuid"], items[1]["uuid"], "unknown"], "_": True}
    assert copilot.call("notifyRejected", rejected) == "OK"
    eventually(lambda: len(script.reports) == 2)
    assert {(x.completion_id, x.outcome) for x in script.reports} == {
        ("cmpl-1", "accepted"),
        ("cmpl-2", "rejected"),
    }


def test_a_later_request_of_copilot_lua_answers_the_earlier_one(copilot, script, uri):
    script.gate.clear()
    first = copilot.send("getCompletions", document(uri))
    eventually(lambda: script.requests)
    second = copilot.send("getCompletions", document(uri))
    assert copilot.wait(first, 5)["result"] == {"completions": []}
    script.gate.set()
    assert len(copilot.wait(second)["result"]["completions"]) == 1


def test_a_document_that_comes_with_the_request(copilot_client, script, uri):
    params = document(uri)
    assert copilot_client.call("getCompletions", params) == {"completions": []}
    params["doc"]["source"] = TEXT
    assert len(copilot_client.call("getCompletions", params)["completions"]) == 1


def test_copilot_el(copilot, script, uri):
    script.answer = {"completion": "x😀y"}
    assert copilot.call("checkStatus", {"dummy": "checkStatus"})["user"] == "local"
    copilot.notify("textDocument/didFocus", {"textDocument": {"uri": uri}})
    copilot.notify("textDocument/didFocus", {})
    (item,) = copilot.call("textDocument/inlineCompletion", inline(uri, 2))["items"]
    assert item["command"]["command"] == "github.copilot.didAcceptCompletionItem"
    assert item["range"]["start"] == item["range"]["end"] == inline(uri, 2)["position"]
    shown = {"command": item["command"]}
    copilot.notify("textDocument/didShowCompletion", {"item": shown})
    part = {"item": shown, "acceptedLength": 3}
    copilot.notify("textDocument/didPartiallyAcceptCompletion", part)
    eventually(lambda: script.reports)
    copilot.call("workspace/executeCommand", item["command"])
    eventually(lambda: len(script.reports) == 2)
    facts = [(x.completion_id, x.outcome, x.accepted_length) for x in script.reports]
    assert facts == [("cmpl-1", "partial", 2), ("cmpl-1", "accepted", None)]


def test_sidekick(copilot, script, uri):
    params = {**inline(uri, 2), "textDocument": {"uri": uri, "version": 7}}
    assert copilot.call("textDocument/copilotInlineEdit", params) == {"edits": []}


def test_the_status_says_what_goes_on(copilot, script, uri):
    def status():
        return [(x["busy"], x["kind"]) for x in copilot.told("didChangeStatus")]

    copilot.call("textDocument/inlineCompletion", inline(uri, 2))
    copilot.wait_until(lambda: status() == [(True, "Normal"), (False, "Normal")])
    script.error = ("this repository is not initialised", "run `git copilot init`")
    assert copilot.call("textDocument/inlineCompletion", inline(uri, 1)) == {"items": []}
    copilot.wait_until(lambda: status()[-1] == (False, "Warning"))
    assert "git copilot init" in copilot.told("didChangeStatus")[-1]["message"]
    script.error = None
    copilot.call("textDocument/inlineCompletion", inline(uri, 1))
    copilot.wait_until(lambda: status()[-1] == (False, "Normal"))


def test_other_clients_get_no_status(client, script, source):
    client.open(source.as_uri(), TEXT)
    assert client.call("textDocument/inlineCompletion", inline(source.as_uri(), 2))["items"]
    assert client.told("didChangeStatus") == []


def test_messages_without_their_parameters_do_no_harm(copilot, script, uri):
    for method in ("textDocument/didFocus", "textDocument/didPartiallyAcceptCompletion"):
        copilot.notify(method, {})
        copilot.notify(method, None)
    assert "error" in copilot.wait(copilot.send("getCompletions", {}))
    assert "error" in copilot.wait(copilot.send("notifyAccepted", None))
    assert copilot.call("notifyRejected", {}) == "OK"
    assert copilot.told("window/showMessage") == []
    assert len(copilot.call("getCompletions", document(uri))["completions"]) == 1
