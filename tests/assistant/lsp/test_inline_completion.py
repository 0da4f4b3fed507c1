"""Inline completion over stdio, asked by pytest-lsp's client."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types

from tests.support.stdio_client import COMMAND

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]
INVOKED, AUTOMATIC = types.InlineCompletionTriggerKind


@contextlib.asynccontextmanager
async def editing(path: Path, text: str, *, encodings=("utf-16",)):
    """A session of an editor with one open document."""
    client = pytest_lsp.make_test_lsp_client()
    await client.start_io(*COMMAND)
    capabilities = types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=list(encodings)),
        window=types.WindowClientCapabilities(work_done_progress=True),
    )
    result = await client.initialize_session(
        types.InitializeParams(capabilities=capabilities, root_uri=None)
    )
    client.server = result.capabilities
    client.uri = path.as_uri()
    open_document(client, client.uri, text)
    try:
        yield client
    finally:
        await client.shutdown_session()
        await client.stop()


def open_document(client, uri, text):
    item = types.TextDocumentItem(uri, "python", 1, text)
    client.text_document_did_open(types.DidOpenTextDocumentParams(item))


def change(client, start, end, text):
    span = types.Range(types.Position(*start), types.Position(*end))
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(2, client.uri),
            [types.TextDocumentContentChangePartial(range=span, text=text)],
        )
    )


def asked(client, line, character, kind=AUTOMATIC):
    return client.text_document_inline_completion_async(
        types.InlineCompletionParams(
            context=types.InlineCompletionContext(kind),
            text_document=types.TextDocumentIdentifier(client.uri),
            position=types.Position(line, character),
        )
    )


async def test_the_server_says_what_it_can_do(script, source):
    async with editing(source, "") as client:
        server = client.server
        assert server.inline_completion_provider is True
        assert server.text_document_sync.change == types.TextDocumentSyncKind.Incremental
        assert list(server.execute_command_provider.commands) == ["gitCopilot.accepted"]
        assert server.workspace.workspace_folders.supported


@pytest.mark.parametrize(
    ("encodings", "chosen", "character"),
    [(["utf-8", "utf-16"], "utf-8", 9), (["utf-16"], "utf-16", 6), (["utf-32"], "utf-32", 5)],
)
async def test_positions_count_in_the_encoding_that_was_agreed(
    script, source, encodings, chosen, character
):
    async with editing(source, "x\n", encodings=encodings) as client:
        assert client.server.position_encoding == chosen
        change(client, (0, 0), (0, 1), 'é"😀" ')
        result = await asked(client, 0, character)
        assert script.requests[-1].location == "a.py:1:6"
        assert script.requests[-1].text == 'é"😀" \n'.encode()
        (item,) = result.items
        place = types.Position(0, character)
        assert item.insert_text == "done()" and item.range == types.Range(place, place)


async def test_one_item_for_the_editor_and_several_for_the_user(script, source):
    script.answer = {"completion": "a", "candidates": ["a", "b", "c"]}
    async with editing(source, "x\n") as client:
        result = await asked(client, 0, 1)
        assert [item.insert_text for item in result.items] == ["a"]
        result = await asked(client, 0, 1, INVOKED)
        assert [item.insert_text for item in result.items] == ["a", "b", "c"]
        assert [(r.count, r.automatic) for r in script.requests] == [(1, True), (3, False)]
        assert script.requests[0].client and len({r.client for r in script.requests}) == 1


async def test_a_later_request_answers_the_earlier_one_and_stops_it(script, source):
    script.gate.clear()
    async with editing(source, "x = \n") as client:
        first = asyncio.ensure_future(asked(client, 0, 3))
        while not script.requests:
            await asyncio.sleep(0.01)
        change(client, (0, 4), (0, 4), "f(")
        second = asyncio.ensure_future(asked(client, 0, 6))
        assert await asyncio.wait_for(first, 5) is None, "at once, while the second one waits"
        while not script.cancelled:
            await asyncio.sleep(0.01)
        assert script.cancelled == ["a.py:1:4"] and not second.done()
        script.gate.set()
        assert len((await second).items) == 1
        assert script.requests[-1].text == b"x = f(\n"


async def test_a_request_of_another_document_stops_nothing(script, source):
    async with editing(source, "x = \n") as client:
        other = (source.parent / "b.py").as_uri()
        open_document(client, other, "y\n")
        one = asked(client, 0, 3)
        first_uri, client.uri = client.uri, other
        two = asked(client, 0, 1)
        assert first_uri != other
        results = await asyncio.gather(one, two)
        assert [len(result.items) for result in results] == [1, 1]


async def test_the_text_of_unsaved_buffers_goes_along(script, source):
    async with editing(source, "x = \n") as client:
        open_document(client, (source.parent / "b.py").as_uri(), "def unsaved(): ...\n")
        await asked(client, 0, 4)
        (other,) = script.requests[-1].open_texts
        assert Path(other.path).name == "b.py" and other.text == "def unsaved(): ...\n"


async def test_acceptance_is_reported(script, source):
    async with editing(source, "x = \n") as client:
        (item,) = (await asked(client, 0, 4)).items
        command = types.ExecuteCommandParams(item.command.command, item.command.arguments)
        await client.workspace_execute_command_async(command)
        await client.workspace_execute_command_async(
            types.ExecuteCommandParams("gitCopilot.accepted", ["unknown"])
        )
        while not script.reports:
            await asyncio.sleep(0.01)
        (report,) = script.reports
        assert (report.completion_id, report.outcome) == ("cmpl-1", "accepted")
        assert report.folder == source.parent


async def test_progress_is_shown_while_the_model_loads(script, source):
    script.gate.clear()
    async with editing(source, "x = \n") as client:
        request = asyncio.ensure_future(asked(client, 0, 4))
        while not client.progress_reports:
            await asyncio.sleep(0.02)
        script.gate.set()
        await request
        (reports,) = client.progress_reports.values()
        while len(reports) < 2:
            await asyncio.sleep(0.02)
        assert [report.kind for report in reports] == ["begin", "end"]
        assert reports[0].message == "loading the model"
