"""The language server: what it can do, and the handlers of the standard protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInternalError, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from git_copilot.assistant.core.error_handler import describe_failure, package_version
from git_copilot.assistant.lsp.completer import Asked, InlineCompleter
from git_copilot.assistant.lsp.document_sync import DocumentSync
from git_copilot.assistant.lsp.documents import SyncedDocument
from git_copilot.assistant.lsp.framing import MessageStream
from git_copilot.assistant.lsp.items import (
    ACCEPTED,
    COPILOT_ACCEPTED,
    SelectedEntry,
    inline_item,
)
from git_copilot.assistant.lsp.notices import ERROR, LOG, SHOW, Notices
from git_copilot.assistant.lsp.positions import choose_encoding
from git_copilot.assistant.lsp.progress import ProgressReporter
from git_copilot.assistant.lsp.protocol import (
    METHOD,
    EditorProtocol,
    editor_name,
    field_of,
    lenient_converter,
    position_of,
    speaks_copilot,
    text_of,
)

NAME = "git-copilot"
# Kinds of triggers as the final text of the protocol numbers them, and Neovim 0.12, lsp-mode,
# copilot.el, and vscode-languageclient from 10 on. Drafts began with 0, which is no automatic one.
AUTOMATIC = 2
# What is offered where the user asks for completions, and where the editor does.
SEVERAL, SINGLE = 3, 1
_NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")]
)

_MESSAGES: dict[str, Callable[..., Any]] = {
    LOG: types.LogMessageParams,
    SHOW: types.ShowMessageParams,
}


class EditorServer(LanguageServer):
    """The process that one editor talks to. ``completer`` has all state."""

    def __init__(self) -> None:
        super().__init__(
            NAME,
            package_version(),
            types.TextDocumentSyncKind.Incremental,
            _NOTEBOOKS,
            protocol_cls=EditorProtocol,
            converter_factory=lenient_converter,
            max_workers=2,
        )
        self.notices = Notices(self._notify)
        self.reporter = ProgressReporter()
        self.completer = InlineCompleter(self.notices, self.reporter)
        self.speaks_copilot = False
        self._register()

    def handle(self, method: str, handler: Callable[..., Any]) -> None:
        """Have ``handler`` handle the messages of a method."""
        self.feature(method)(partial(handler))  # the library marks it, and a method takes no marks

    def start_io(self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> None:
        stream = None if stdin is None else cast(BinaryIO, MessageStream(stdin))
        super().start_io(stream, stdout)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log a bug, or a client's mistake, which is none; a popup at every keystroke would help
        nobody."""
        # Outside of handlers, ValueError is text that is not JSON.
        unread = source is JsonRpcException and isinstance(error, ValueError | RecursionError)
        mistake = isinstance(error, JsonRpcException) and not isinstance(
            error, JsonRpcInternalError
        )
        if unread or mistake:
            self.notices.mistake(METHOD.get(), "not JSON" if unread else str(error))
            return
        failure = describe_failure(error)
        self.notices.log("; ".join(filter(None, (failure.message, failure.hint))), ERROR)

    def _notify(self, method: str, params: dict[str, Any]) -> None:
        kind = _MESSAGES.get(method)
        self.protocol.notify(method, params if kind is None else kind(**params))

    def _register(self) -> None:
        sync = DocumentSync(self.completer)
        handlers: dict[str, Callable[..., Any]] = {
            types.INITIALIZE: self._initialize,
            types.SHUTDOWN: self._shutdown,
            types.TEXT_DOCUMENT_DID_OPEN: sync.did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: sync.did_change,
            types.TEXT_DOCUMENT_DID_CLOSE: sync.did_close,
            types.NOTEBOOK_DOCUMENT_DID_OPEN: sync.did_open_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CHANGE: sync.did_change_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CLOSE: sync.did_close_notebook,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: _ignore,  # settings are those of git
            types.WORKSPACE_DID_CHANGE_WATCHED_FILES: _ignore,
            types.TEXT_DOCUMENT_DID_SAVE: _ignore,
            types.TEXT_DOCUMENT_INLINE_COMPLETION: self._inline_completion,
        }
        for method, handler in handlers.items():
            self.handle(method, handler)
        for command in (ACCEPTED, COPILOT_ACCEPTED):
            self.command(command)(partial(self._accepted))

    def _initialize(self, params: types.InitializeParams) -> None:
        self.speaks_copilot = speaks_copilot(params)
        self.completer.introduce(editor_name(params))
        self.notices.has_status = self.speaks_copilot
        general, window = params.capabilities.general, params.capabilities.window
        offered = (general and general.position_encodings) or ()
        # The library tells the client the same choice.
        self.completer.encoding = choose_encoding(str(getattr(x, "value", x)) for x in offered)
        if window is not None and window.work_done_progress:
            self.reporter.client = _Progress(self)

    def _shutdown(self, _: Any) -> None:
        self.completer.close()

    async def _inline_completion(self, params: Any) -> dict[str, Any] | None:
        document = self.completer.documents.use(text_of(params, "textDocument", "uri"))
        line, character = position_of(params.get("position"))
        if document is None:
            return {"items": []}
        context = params.get("context") or {}
        if not isinstance(context, dict):
            raise JsonRpcInvalidParams("context is not an object")
        automatic = context.get("triggerKind", AUTOMATIC) == AUTOMATIC
        cursor = document.cursor_at(line, character, self.completer.encoding)
        info = context.get("selectedCompletionInfo")
        selected = self._selected(document, cursor.line, info) if info else None
        if info and selected is None:
            return {"items": []}
        count = SINGLE if automatic else SEVERAL
        done = await self.completer.complete(
            Asked(document, cursor, count, automatic=automatic, selected=selected)
        )
        if done is None:
            return None  # Neovim keeps what it shows, and clears it for an empty list
        command = COPILOT_ACCEPTED if self.speaks_copilot else ACCEPTED
        return {"items": [inline_item(text, done.place, command) for text in done.texts]}

    def _selected(self, document: SyncedDocument, line: int, info: Any) -> SelectedEntry | None:
        """The selected entry of the menu; ``None`` where it is not all in the cursor's line."""
        text, span = text_of(info, "text"), info.get("range")
        start, end = (
            document.cursor_at(*position_of(field_of(span, name)), self.completer.encoding)
            for name in ("start", "end")
        )
        if not start.line == end.line == line or "\n" in text or "\r" in text:
            return None
        return SelectedEntry(start.column, end.column, text)

    def _accepted(self, *arguments: Any) -> None:
        """An item was inserted: the command that it came with."""
        if arguments and isinstance(arguments[0], str):
            self.completer.report(self.completer.sent.accepted(arguments[0]))


class _Progress:
    """Progress on the client's side, in the standard protocol."""

    def __init__(self, server: EditorServer) -> None:
        self._protocol = server.protocol

    async def create(self, token: str) -> None:
        sent = self._protocol.send_request(
            types.WINDOW_WORK_DONE_PROGRESS_CREATE, types.WorkDoneProgressCreateParams(token=token)
        )
        await asyncio.wrap_future(sent)

    def send(self, token: str, value: dict[str, Any]) -> None:
        self._protocol.notify(types.PROGRESS, types.ProgressParams(token=token, value=value))


def _ignore(_: Any) -> None:
    """A message that changes nothing here."""
