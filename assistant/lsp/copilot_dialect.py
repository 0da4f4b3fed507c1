"""The Copilot language server's own messages, so that its clients work with another command.

As its README (github/copilot-language-server-release) and its clients have them: copilot.el,
copilot.lua, nvim-lspconfig's ``copilot`` and sidekick.nvim.
"""

from __future__ import annotations

from typing import Any

from git_copilot.assistant.core.error_handler import package_version
from git_copilot.assistant.lsp.completer import Asked
from git_copilot.assistant.lsp.documents import SyncedDocument
from git_copilot.assistant.lsp.items import cycling_item
from git_copilot.assistant.lsp.protocol import field_of, position_of, text_of
from git_copilot.assistant.lsp.server import SEVERAL, SINGLE, EditorServer

USER = "local"
# What clients may compare with the version of the server that they know.
_SIGNED_IN = {"status": "AlreadySignedIn", "user": USER}


class CopilotDialect:
    """Adds the dialect to a server. Nobody signs in: nothing leaves the machine."""

    def __init__(self, server: EditorServer) -> None:
        self._server = server
        self._completer = server.completer
        answers: dict[str, Any] = {
            "checkStatus": {"status": "OK", "user": USER},
            "signIn": _SIGNED_IN,
            "signInInitiate": _SIGNED_IN,
            "signInConfirm": {"status": "OK", "user": USER},
            "signOut": {"status": "NotSignedIn"},
            "setEditorInfo": "OK",
            "getVersion": {"version": package_version(), "runtimeVersion": "git-copilot"},
            "copilot/models": [],
            "textDocument/copilotInlineEdit": {"edits": []},
            "notifyShown": "OK",
            "getPanelCompletions": {"solutionCountTarget": 0},
        }
        for method, answer in answers.items():
            server.handle(method, _answering(answer))
        for method, handler in {
            "getCompletions": self.get_completions,
            "getCompletionsCycling": self.get_completions_cycling,
            "notifyAccepted": self.notify_accepted,
            "notifyRejected": self.notify_rejected,
            "textDocument/didFocus": self.did_focus,
            "textDocument/didShowCompletion": _ignore,
            "textDocument/didShowInlineEdit": _ignore,
            "textDocument/didPartiallyAcceptCompletion": self.did_partially_accept,
        }.items():
            server.handle(method, handler)

    def did_focus(self, params: Any) -> None:
        """Another document is edited now; without one the editor lost the focus."""
        if isinstance(params, dict) and params.get("textDocument"):
            self._completer.documents.use(text_of(params, "textDocument", "uri"))

    def did_partially_accept(self, params: Any) -> None:
        """The first ``acceptedLength`` UTF-16 units of an item's text were inserted."""
        arguments = field_of(params, "item", "command", "arguments")
        length = params.get("acceptedLength")
        if isinstance(arguments, list) and arguments and isinstance(length, int):
            self._completer.report(self._completer.sent.accepted(str(arguments[0]), length))

    def notify_accepted(self, params: Any) -> str:
        """An item of :meth:`get_completions` was inserted, or the first part of it."""
        length, name = field_of(params, "acceptedLength"), text_of(params, "uuid")
        self._completer.report(
            self._completer.sent.accepted(name, length if isinstance(length, int) else None)
        )
        return "OK"

    def notify_rejected(self, params: Any) -> str:
        """Items were dismissed. An answer counts once, however many of its items were seen."""
        uuids = field_of(params, "uuids")
        names = map(str, uuids) if isinstance(uuids, list) else ()
        reports = map(self._completer.sent.rejected, names)
        for report in {r.completion_id: r for r in reports if r is not None}.values():
            self._completer.report(report)
        return "OK"

    async def get_completions(self, params: Any) -> dict[str, Any]:
        """The completion at a place, as whole lines."""
        return await self._complete(params, SINGLE, automatic=True)

    async def get_completions_cycling(self, params: Any) -> dict[str, Any]:
        """Several completions at a place, which the user asked for."""
        return await self._complete(params, SEVERAL, automatic=False)

    async def _complete(self, params: Any, count: int, *, automatic: bool) -> dict[str, Any]:
        uri = text_of(params, "doc", "uri")
        line, character = position_of(field_of(params, "doc", "position"))
        document = self._completer.documents.use(uri)
        source = field_of(params, "doc", "source")
        if document is None and isinstance(source, str):  # clients that do not open documents
            document = SyncedDocument.of(uri, source)
        if document is None:
            return {"completions": []}
        cursor = document.cursor_at(line, character, self._completer.encoding)
        asked = Asked(document, cursor, count, automatic=automatic)
        done = await self._completer.complete(asked, cycling=True)
        if done is None:
            return {"completions": []}
        return {"completions": [cycling_item(text, done.place) for text in done.texts]}


def _answering(answer: Any) -> Any:
    """A handler that always gives the same answer."""
    return lambda params: answer


def _ignore(_: Any) -> None:
    """What is shown is recorded when it is sent."""
