"""The language server and clients that are not like others."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from git_copilot.assistant.client import transport
from tests.support.commands import BIN
from tests.support.gitrepo import GitRepo
from tests.support.stdio_client import COMMAND, eventually

INLINE = "textDocument/inlineCompletion"
CANCELLED = -32800
EMPTY = {"items": []}


def ask(client, uri, line=0, character=0, kind=2, **context):
    return client.call(INLINE, client.inline(uri, line, character, kind, **context))


def test_a_file_outside_of_repositories_is_told_once_and_starts_no_server(client, tmp_path):
    uri = (tmp_path / "a.py").as_uri()
    client.open(uri, "x = \n")
    for _ in range(3):
        assert ask(client, uri, 0, 4) == EMPTY
    (told,) = client.told("window/logMessage")
    assert "is in no Git repository" in told["message"]
    assert client.told("window/showMessage") == [] and transport.connect() is None


def test_the_message_of_a_commit_gets_nothing(client, script, repo):
    uri = (repo.git_dir / "COMMIT_EDITMSG").as_uri()
    client.open(uri, "Fix \n", "gitcommit")
    assert ask(client, uri, 0, 4) == EMPTY
    assert client.notes == [] and script.requests == []


def test_a_problem_is_shown_once_with_its_remedy(client, script, source):
    script.error = ("this repository is not initialised", "run `git copilot init`")
    client.open(source.as_uri(), "x = \n")
    for _ in range(5):
        assert ask(client, source.as_uri(), 0, 4) == EMPTY
    (told,) = client.told("window/showMessage")
    assert told["type"] == 2
    assert told["message"].endswith("this repository is not initialised; run `git copilot init`")
    assert len(script.requests) == 1, "asked again only after a pause, or by hand"
    script.error = None
    assert len(ask(client, source.as_uri(), 0, 4, kind=1)["items"]) == 1


def test_a_cancelled_request_ends_at_once_and_stops_the_server(client, script, source):
    script.gate.clear()
    client.open(source.as_uri(), "x = \n")
    number = client.send(INLINE, client.inline(source.as_uri(), 0, 4))
    eventually(lambda: script.requests)
    client.notify("$/cancelRequest", {"id": number})
    assert client.wait(number, 5)["error"]["code"] == CANCELLED
    eventually(lambda: script.cancelled)


@pytest.mark.parametrize(
    "uri", ["untitled:Untitled-1", "file:///c%3A/x/a.py", "file://[x", "", "nonsense"]
)
def test_documents_that_are_no_files_get_nothing(client, uri):
    client.open(uri, "x = \n")
    assert ask(client, uri, 0, 4) == EMPTY
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert ask(client, uri, 0, 4) == EMPTY


def test_a_file_and_a_folder_that_were_deleted(client, script, source):
    for path in (source.parent / "gone.py", source.parent / "away" / "gone.py"):
        client.open(path.as_uri(), "x = \n")
        assert len(ask(client, path.as_uri(), 0, 4)["items"]) == 1


def test_line_ends_byte_order_mark_and_escaped_names(client, script, repo):
    path = repo.path / "é #%.py"
    client.open(path.as_uri(), "\ufeffa\r\n😀b\r\n")
    script.answer = {"completion": "x\r\n    y"}
    (item,) = ask(client, path.as_uri(), 1, 2)["items"]
    assert item["insertText"] == "x\n    y"
    assert item["range"]["start"] == item["range"]["end"] == {"line": 1, "character": 2}
    assert script.requests[0].location == "é #%.py:2:2"
    assert script.requests[0].text == "\ufeffa\r\n😀b\r\n".encode()


def test_the_whole_line_replaces_what_the_editor_closed(client, script, source):
    script.answer = {"completion": "", "whole_line": {"completion": "x) + 1", "replaces": 1}}
    client.open(source.as_uri(), "y = f()\n")
    (item,) = ask(client, source.as_uri(), 0, 6)["items"]
    assert item["insertText"] == "x) + 1"
    assert [item["range"][end]["character"] for end in ("start", "end")] == [6, 7]


def test_items_begin_with_the_selected_entry_of_the_menu(client, script, source):
    client.open(source.as_uri(), "y = sel\n")
    span = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 7}}
    (item,) = ask(
        client, source.as_uri(), 0, 7, selectedCompletionInfo={"range": span, "text": "self"}
    )["items"]
    assert item["insertText"] == "selfdone()" and item["range"] == span
    assert script.requests[0].text == b"y = self\n"
    assert script.requests[0].location.endswith(":1:9")
    span["end"]["line"] = 1  # an entry over several lines is none for the cursor's
    info = {"range": span, "text": "self"}
    assert ask(client, source.as_uri(), 0, 7, selectedCompletionInfo=info) == EMPTY


def test_a_cell_sees_the_unsaved_cells_around_it(client, script, repo):
    notebook, cells = (repo.path / "n.ipynb").as_uri(), []
    for number, text in enumerate(["import os\n", "os.", "print()"]):
        uri = f"vscode-notebook-cell:{notebook.removeprefix('file://')}#{number}"
        cells.append({"uri": uri, "languageId": "python", "version": 1, "text": text})
    client.notify(
        "notebookDocument/didOpen",
        {
            "notebookDocument": {
                "uri": notebook,
                "notebookType": "jupyter-notebook",
                "version": 1,
                "cells": [{"kind": 2, "document": cell["uri"]} for cell in cells],
            },
            "cellTextDocuments": cells,
        },
    )
    start = {"line": 0, "character": 0}
    client.notify(
        "notebookDocument/didChange",
        {
            "notebookDocument": {"uri": notebook, "version": 2},
            "change": {
                "cells": {
                    "textContent": [
                        {
                            "document": {"uri": cells[0]["uri"], "version": 2},
                            "changes": [{"range": {"start": start, "end": start}, "text": "# a\n"}],
                        }
                    ]
                }
            },
        },
    )
    (item,) = ask(client, cells[1]["uri"], 0, 3)["items"]
    assert item["range"]["start"] == {"line": 0, "character": 3}
    (request,) = script.requests
    assert request.text == b"# a\nimport os\n\n\nos.\n\nprint()"
    assert request.location == "n.ipynb.py:5:4" and request.open_texts == ()


def test_folders_of_several_repositories(start_client, script, source, tmp_path):
    other = GitRepo.init(tmp_path / "other")
    client = start_client()
    client.initialize(folders=[source.parent, other.path])
    client.open((other.path / "b.py").as_uri(), "unsaved\n")
    client.open(source.as_uri(), "x = \n")
    client.open((other.path / "c.py").as_uri(), "y = \n")
    for path in (source, other.path / "c.py"):
        assert len(ask(client, path.as_uri(), 0, 4)["items"]) == 1
    first, second = script.requests
    assert (first.cwd, second.cwd) == (source.parent, other.path)
    assert [Path(text.path).name for text in second.open_texts] == ["b.py"]
    assert first.open_texts == ()


def test_progress_until_the_index_is_fresh(start_client, script, source, monkeypatch):
    client = start_client()
    client.initialize(capabilities={"window": {"workDoneProgress": True}})
    client.open(source.as_uri(), "x = \n")
    script.fresh = False
    ask(client, source.as_uri(), 0, 4)
    begun = [("begin", f"indexing {source.parent.name}")]

    def values():
        found = [params["value"] for params in client.told("$/progress")]
        return [(value["kind"], value.get("message")) for value in found]

    client.wait_until(lambda: values() == begun)
    script.fresh = True
    ask(client, source.as_uri(), 0, 4)
    client.wait_until(lambda: values() == [*begun, ("end", None)])


def test_mistakes_of_a_client_are_answered_and_shown_to_nobody(client, script, source):
    for params in ({}, {"textDocument": {"uri": 3}}, None, []):
        assert client.wait(client.send(INLINE, params))["error"]["code"] in (-32602, -32603)
    assert client.wait(client.send("no/such", {}))["error"]["code"] == -32601
    client.notify("textDocument/didChange", {"nonsense": True})
    client.notify("no/such", {})
    span = {"start": {"line": 5, "character": 0}, "end": {"line": 7, "character": 3}}
    client.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": source.as_uri(), "version": 2},
            "contentChanges": [{"range": span, "text": "x"}],
        },
    )
    client.open(source.as_uri(), "x = \n")
    assert len(ask(client, source.as_uri(), 99, 99)["items"]) == 1
    assert client.told("window/showMessage") == []


@pytest.mark.e2e
def test_the_process_loads_no_model_library(start_client, script, source, tmp_path):
    log = tmp_path / "imports"
    code = (
        "import sys; from git_copilot.assistant.lsp.main import serve_stdio; serve_stdio();"
        f"open({str(log)!r}, 'w').write(' '.join(sys.modules))"
    )
    client = start_client(command=[sys.executable, "-c", code])
    client.initialize()
    client.open(source.as_uri(), "x = \n")
    assert len(ask(client, source.as_uri(), 0, 4)["items"]) == 1
    client.close()
    loaded = set(log.read_text().split())
    assert "pygls" in loaded
    heavy = {"torch", "transformers", "faiss", "numpy", "tree_sitter", "tokenizers", "git"}
    assert loaded & heavy == set()


@pytest.mark.e2e
def test_an_editor_that_dies_leaves_no_process(start_client, script, source):
    client = start_client(command=COMMAND)
    client.initialize()
    client.open(source.as_uri(), "x = \n")
    script.gate.clear()
    client.send(INLINE, client.inline(source.as_uri(), 0, 4))
    eventually(lambda: script.requests)
    client.process.stdin.close()
    assert client.process.wait(10) == 0
    eventually(lambda: script.cancelled)


@pytest.mark.e2e
def test_an_interruption_ends_it_without_a_traceback(runtime):
    process = subprocess.Popen(
        [BIN / "git-copilot", "--stdio"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=10)
    assert b"Traceback" not in told and told.count(b"\n") <= 1


@pytest.mark.e2e
@pytest.mark.parametrize(
    "arguments", [["lsp"], ["lsp", "--stdio"], ["--stdio", "--clientProcessId=7"]]
)
def test_the_arguments_that_clients_add(start_client, arguments):
    client = start_client(command=[str(BIN / "git-copilot"), *arguments])
    assert client.initialize()["serverInfo"]["name"] == "git-copilot"


@pytest.mark.e2e
def test_wrong_arguments_are_a_mistake_of_usage(runtime):
    done = subprocess.run([BIN / "git-copilot", "lsp", "--port=3"], capture_output=True, text=True)
    assert done.returncode == 2 and "--port" in done.stderr and done.stdout == ""


def test_a_server_that_may_not_be_started_is_told(client, source, monkeypatch):
    monkeypatch.setenv("GIT_COPILOT_SERVER", "0")
    client.open(source.as_uri(), "x = \n")
    assert ask(client, source.as_uri(), 0, 4) == EMPTY
    (told,) = client.told("window/showMessage")
    assert "GIT_COPILOT_SERVER=0" in told["message"] and "unset it" in told["message"]
