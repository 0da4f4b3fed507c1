"""The pages on editors and on HTTP say what the program does."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.routing import Route

from git_copilot.assistant.api.requests import MAX_CANDIDATES, MAX_TOKENS
from git_copilot.assistant.cli.editor_snippets import Machine, editors
from git_copilot.assistant.http import (
    fields,
    guard,
    listener,
    llama_cpp,
    mistral,
    ollama,
    openai,
    tabby,
)
from git_copilot.assistant.http.metrics import PREFIX, Metrics
from git_copilot.assistant.service.request_queue import MAX_WAITING

ROOT = Path(__file__).resolve().parent.parent
OVERVIEW = (ROOT / "docs/editors.md").read_text("utf-8")
HTTP = (ROOT / "docs/http.md").read_text("utf-8")
PROTOCOLS = (llama_cpp, openai, mistral, ollama, tabby)


@pytest.mark.parametrize("name", list(editors()))
def test_the_page_of_an_editor_shows_what_the_command_prints(name):
    editor = editors()[name].of(Machine())
    page = (ROOT / "docs/editors" / editor.page).read_text("utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert editor.snippet in blocks


def test_the_overview_lists_every_editor_with_its_way_and_whether_it_was_tried():
    rows = re.findall(
        r"^\| `(.+?)` \| \[(.+)\]\(editors/(.+?)\) \| (.+?) \| (\w+) \|$", OVERVIEW, re.MULTILINE
    )
    assert rows == [
        (each.name, each.title, each.page, each.way, each.tried) for each in editors().values()
    ]


@pytest.mark.parametrize("name", [name for name, each in editors().items() if each.uses_http])
def test_a_page_says_as_much_as_was_tried(name):
    editor = editors()[name]
    page = (ROOT / "docs/editors" / editor.page).read_text("utf-8")
    assert {"yes": "Tried", "replayed": "Replayed"}[editor.tried] in page
    for path in re.findall(r"`(tests/[\w/]+\.py)`", page):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda module: module.__name__.split(".")[-1])
def test_every_endpoint_is_on_the_page(protocol):
    paths = [route.path for route in protocol.routes(SimpleNamespace()) if isinstance(route, Route)]
    assert paths
    for path in paths:
        assert re.search(rf"[` ]{re.escape(path)}`", HTTP), path


def test_every_metric_is_on_the_page():
    shown = Metrics(SimpleNamespace(waiting=0)).exposition().decode()
    names = {
        name.removesuffix("_created") for name in re.findall(r"^# TYPE (\w+) ", shown, re.MULTILINE)
    }
    names = {name if f"{name}_total" not in names else f"{name}_total" for name in names}
    assert names and {name for name in names if f"`{name}`" not in HTTP} == set()
    assert set(re.findall(rf"`({PREFIX}_\w+)`", HTTP)) <= names


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (guard.MAX_BODY_BYTES >> 20, "{} MB"),
        (guard.BODY_SECONDS, "within {:g} s"),
        (listener.MAX_HEADER_BYTES >> 10, "{} KB"),
        (listener.HEADER_SECONDS, "within {:g} s"),
        (listener.MAX_CONNECTIONS, "| {} |"),
        (MAX_WAITING, "| {}; one more"),
        (fields.MAX_TEXTS, "the last {} of"),
        (MAX_TOKENS, "| {:,} tokens |"),
        (MAX_CANDIDATES, "at most {}"),
    ],
)
def test_limits_are_told_as_they_are(limit, told):
    assert told.format(limit) in HTTP
