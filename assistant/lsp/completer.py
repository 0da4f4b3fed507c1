"""Answers requests for completions: one at a time for each document, the latest wins."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from git_copilot.assistant.api.requests import CompleteRequest, FeedbackRequest
from git_copilot.assistant.lsp.completion_request import (
    Asker,
    UnsavedTexts,
    complete_request,
    is_possible,
    worktree_of,
)
from git_copilot.assistant.lsp.documents import DocumentStore, SyncedDocument
from git_copilot.assistant.lsp.items import (
    ItemPlace,
    ItemText,
    SelectedEntry,
    cycling_lead,
    item_texts,
)
from git_copilot.assistant.lsp.notebooks import NotebookStore, code_extension
from git_copilot.assistant.lsp.notices import Notices
from git_copilot.assistant.lsp.outcomes import SentItem, SentItems, feedback_json
from git_copilot.assistant.lsp.positions import UTF16, Cursor, line_text
from git_copilot.assistant.lsp.progress import ProgressReporter
from git_copilot.assistant.lsp.uris import is_cell, uri_key
from git_copilot.assistant.lsp.warm_server import ServerExchange, WarmServer
from git_copilot.index.core.errors import CopilotError

# Requests that were given up end at once; more than a few at a time are rare.
THREADS = 8
# A folder that failed for a reason that the user must remove is asked about again after this.
PAUSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A place in a document, the number of texts that are wanted, and whether the client asks by
    itself."""

    document: SyncedDocument
    cursor: Cursor
    count: int
    automatic: bool
    selected: SelectedEntry | None = None


@dataclass(frozen=True, slots=True)
class CompletedPlace:
    """The texts for a place."""

    place: ItemPlace
    texts: tuple[ItemText, ...]


class InlineCompleter:
    """What the language server keeps: documents, requests in flight, items that were sent."""

    def __init__(self, notices: Notices, progress: ProgressReporter) -> None:
        self.documents = DocumentStore()
        self.notebooks = NotebookStore()
        self.unsaved = UnsavedTexts()
        self.sent = SentItems()
        self.encoding = UTF16
        self.notices, self.progress = notices, progress
        self._server = WarmServer()
        self._client = client_name("")
        self._threads = ThreadPoolExecutor(THREADS, "server")
        self._latest: dict[str, _Flight] = {}
        self._paused: dict[Path, float] = {}
        self._answered = -1  # of a server that answered: how often one had been started

    def introduce(self, editor: str) -> None:
        """Take down what the editor calls itself: `git copilot stats` tells clients apart."""
        self._client = client_name(editor)

    async def complete(self, asked: Asked, *, cycling: bool = False) -> CompletedPlace | None:
        """The texts that belong at a place: none where the file is in no repository, or the server
        has a problem, which the user is told. ``None``: a later request took the place of this one.

        :param cycling: the items are those of ``getCompletions``, whose text is the whole line.
        """
        # Everything up to the first `await` sees the documents as they are at the request.
        document, cursor = asked.document, asked.cursor
        line = line_text(document.lines[cursor.line])
        place = ItemPlace(cursor.line, line, cursor.column, self.encoding, asked.selected)
        nothing = CompletedPlace(place, ())
        request = self._request(asked)
        if request is None or document.path is None:
            return nothing
        folder = document.path.parent
        with self._flight(uri_key(document.uri)) as flight:
            if asked.automatic and self._paused.get(folder, 0.0) > time.monotonic():
                return nothing
            self.notices.begin()
            try:
                async with self._loading():
                    reply = await flight.reply(self._server, request, self._threads)
                answer = None if reply is None else self._read(reply, folder)
            except CopilotError as exc:
                self._failed(exc.message, exc.hint, folder)
                return nothing
            finally:
                self.notices.end()
        if answer is None:
            return None
        texts = tuple(item_texts(answer, asked.count))
        lead = cycling_lead(place) if cycling else 0
        for text in texts:
            self.sent.remember(SentItem(text, request.cwd, lead))
        return CompletedPlace(place, texts)

    def report(self, request: FeedbackRequest | None) -> None:
        """Tell the server what became of an item; ``None``: nothing is known of it."""
        if request is not None:
            self._threads.submit(_send_report, request)

    def close(self) -> None:
        """Give up what is in flight."""
        for flight in self._latest.values():
            flight.give_up()
        self.progress.close()
        self._server.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _request(self, asked: Asked) -> CompleteRequest | None:
        document, cursor = asked.document, asked.cursor
        path, lines = document.path, document.lines
        if path is None or ".git" in path.parts:  # a commit's message is no code
            return None
        if not is_possible(path):
            self.notices.log("a document's path is too long; no completions there")
            return None
        if worktree_of(path) is None:
            self.notices.log(f"{path.parent} is in no Git repository; no completions there")
            return None
        if asked.selected is not None:
            lines, cursor = with_selected(lines, cursor, asked.selected)
        others = self.unsaved.beside(document, self.documents)
        if is_cell(document.uri):
            shown = replace(document, lines=lines)
            lines, cursor = self.notebooks.code_around(shown, cursor, self.documents)
            path = path.with_name(path.name + code_extension(document.language))
        asker = Asker(self._client, asked.count, asked.automatic)
        return complete_request(path, lines, cursor, others, asker)

    @contextlib.contextmanager
    def _flight(self, key: str) -> Iterator[_Flight]:
        before = self._latest.pop(key, None)
        if before is not None:
            before.give_up()
        flight = self._latest[key] = _Flight()
        try:
            yield flight
        finally:
            flight.give_up()  # the client cancelled, or it is done anyway
            if self._latest.get(key) is flight:
                del self._latest[key]

    @contextlib.asynccontextmanager
    async def _loading(self) -> AsyncIterator[None]:
        """Show progress if the server loads its model."""
        if self._answered == self._server.starts:
            yield
            return
        async with self.progress.when_slow("git-copilot", "loading the model"):
            yield

    def _read(self, reply: dict[str, Any], folder: Path) -> dict[str, Any] | None:
        """The answer in a reply; ``None`` where the server gave way to a later request."""
        self._answered = self._server.starts
        for note in reply.get("notes", ()):
            self.notices.log(str(note))
        error, answer = reply.get("error"), reply.get("answer")
        if error:
            raise CopilotError(error["message"], error["hint"])
        if answer is not None:
            self.notices.solved()
            self.progress.index_state(
                worktree_of(folder / "file") or folder, fresh=bool(answer["index"]["fresh"])
            )
        return dict(answer) if answer is not None else None

    def _failed(self, message: str, hint: str, folder: Path) -> None:
        self._paused[folder] = time.monotonic() + PAUSE_SECONDS
        worktree = worktree_of(folder / "file") or folder
        self.notices.problem("; ".join(filter(None, (message, hint))), worktree)


class _Flight:
    """A request whose answer somebody waits for, until it is given up."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[dict[str, Any] | None] | None = None
        self._exchange: ServerExchange | None = None

    async def reply(
        self, server: WarmServer, request: CompleteRequest, threads: ThreadPoolExecutor
    ) -> dict[str, Any] | None:
        """The server's reply, or ``None`` as soon as this is given up.

        :raises CopilotError: the server cannot answer.
        """
        loop = asyncio.get_running_loop()
        exchange = self._exchange = ServerExchange("complete", request.to_json)
        self._waiting = waiting = loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            if waiting.done():
                return
            if error is None:
                waiting.set_result(result)
            else:
                waiting.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = server.ask(exchange, request.cwd)
            except Exception as exc:  # noqa: BLE001 - raised where the answer is awaited
                error = exc
            with contextlib.suppress(RuntimeError):  # the loop ended
                loop.call_soon_threadsafe(done, result, error)

        threads.submit(work)
        reply: dict[str, Any] | None = await waiting
        return reply

    def give_up(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        if self._exchange is not None:
            self._exchange.give_up()


def _send_report(request: FeedbackRequest) -> None:
    """Report an outcome. One that the server does not know is none of the user's business."""
    with contextlib.suppress(CopilotError):
        ServerExchange("feedback", lambda: feedback_json(request)).run()


def client_name(editor: str) -> str:
    """A name for the requests of this process, which begins with words for the editor's."""
    words = ".".join(re.findall("[a-z]+", editor.lower()))
    return f"lsp{'/' if words else ''}{words}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def with_selected(
    lines: list[str], cursor: Cursor, selected: SelectedEntry
) -> tuple[list[str], Cursor]:
    """The text as if the selected entry of the menu had been taken, and the place behind it."""
    line = lines[cursor.line]
    end = max(selected.end, cursor.column)
    changed = line[: selected.start] + selected.text + line[end:]
    lines = [*lines[: cursor.line], changed, *lines[cursor.line + 1 :]]
    return lines, Cursor(cursor.line, selected.start + len(selected.text))
