"""How messages are read: documents by :mod:`documents`, and parameters of other protocols as they
come."""

from __future__ import annotations

from collections.abc import Generator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from lsprotocol import types
from pygls.exceptions import (
    FeatureNotificationError,
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
)
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method
from pygls.protocol.json_rpc import JsonRPCNotification, JsonRPCRequestMessage

from git_copilot.assistant.lsp.items import ACCEPTED, COPILOT_ACCEPTED

# Read as they come: clients add fields, and number the kinds of triggers differently.
UNTYPED = frozenset([types.TEXT_DOCUMENT_INLINE_COMPLETION])
# The method that is being handled, for what is said about it.
METHOD: ContextVar[str] = ContextVar("method", default="a message")


def lenient_converter() -> Any:
    """A converter that leaves the parameters of unknown methods as the JSON says."""
    converter: Any = default_converter()  # type: ignore[no-untyped-call]

    def request(given: Any, _: Any) -> JsonRPCRequestMessage:
        return JsonRPCRequestMessage(
            given["id"], given["method"], given["jsonrpc"], given.get("params")
        )

    def notification(given: Any, _: Any) -> JsonRPCNotification:
        return JsonRPCNotification(given["method"], given["jsonrpc"], given.get("params"))

    converter.register_structure_hook(JsonRPCRequestMessage, request)
    converter.register_structure_hook(JsonRPCNotification, notification)
    return converter


class EditorProtocol(LanguageServerProtocol):
    """The protocol without the library's own documents, which split lines at more characters than
    the specification says, and copy the text at each change. The handlers of the server see the
    messages instead."""

    @lru_cache  # noqa: B019 - as the library has it; there is one protocol a process
    def get_message_type(self, method: str) -> type[Any] | None:
        return None if method in UNTYPED else super().get_message_type(method)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Read a message. Whoever sent a request that cannot be read gets an error, where the
        library is silent and the client waits for ever."""
        if "jsonrpc" not in data:
            return data
        number, method = data.get("id"), data.get("method", "a reply")
        known = isinstance(method, str) and isinstance(number, str | int | None)
        METHOD.set(method if known else "a message")
        try:
            if not known or data["jsonrpc"] != self.VERSION:
                raise JsonRpcInvalidRequest("not a message of JSON-RPC 2.0")
            try:
                return super().structure_message(data)
            except JsonRpcException as exc:
                raise JsonRpcInvalidParams("not the parameters of the protocol") from exc
        except JsonRpcException as exc:
            if "method" in data and isinstance(number, str | int):
                self._send_response(number, error=exc.to_response_error())
            raise

    def handle_message(self, message: Any) -> None:
        if not hasattr(message, "jsonrpc"):
            raise JsonRpcInvalidRequest("not a message of JSON-RPC 2.0")
        number = getattr(message, "id", None)
        if self._shutdown and number is not None and hasattr(message, "method"):
            refusal = JsonRpcInvalidRequest("the server was shut down")
            self._send_response(number, error=refusal.to_response_error())
            return
        super().handle_message(message)

    def _send_response(self, msg_id: Any, result: Any = None, error: Any = None) -> None:
        if error is not None:
            # Without the library's traceback, which some editors show to the user.
            error = types.ResponseError(error.code, " ".join(error.message.split()))
        super()._send_response(msg_id, result, error)

    def _check_handler_result(self, future: Any) -> None:
        """The library takes whatever a handler of a notification raises for a bug."""
        failure = None if future.cancelled() else future.exception()
        if isinstance(failure, JsonRpcException):
            self._server._report_server_error(failure, FeatureNotificationError)
        else:
            super()._check_handler_result(future)

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Generator[Any, Any, Any]:
        if speaks_copilot(params) and params.capabilities.general is not None:
            # Its clients count in UTF-16 whatever they offer.
            params.capabilities.general.position_encodings = None
        result = yield from super().lsp_initialize(params)
        # Not an empty object, which some clients read as absence.
        result.capabilities.inline_completion_provider = True
        commands = [ACCEPTED, COPILOT_ACCEPTED] if speaks_copilot(params) else [ACCEPTED]
        # VS Code has one space of names for all extensions, and GitHub's has this one's.
        result.capabilities.execute_command_provider = types.ExecuteCommandOptions(commands)
        return result

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: Any) -> Any:
        self._call(types.TEXT_DOCUMENT_DID_OPEN, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: Any) -> Any:
        self._call(types.TEXT_DOCUMENT_DID_CHANGE, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: Any) -> Any:
        self._call(types.TEXT_DOCUMENT_DID_CLOSE, params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, params: Any) -> Any:
        self._call(types.NOTEBOOK_DOCUMENT_DID_OPEN, params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(self, params: Any) -> Any:
        self._call(types.NOTEBOOK_DOCUMENT_DID_CHANGE, params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(self, params: Any) -> Any:
        self._call(types.NOTEBOOK_DOCUMENT_DID_CLOSE, params)

    def _call(self, method: str, params: Any) -> None:
        self.fm.features[method](params)


def speaks_copilot(params: types.InitializeParams) -> bool:
    """Whether the client takes us for the Copilot language server."""
    options = params.initialization_options
    return isinstance(options, dict) and "editorInfo" in options


def editor_name(params: types.InitializeParams) -> str:
    """What the client calls itself; a client of the Copilot language server names its plug-in."""
    options = params.initialization_options
    plugin = options.get("editorPluginInfo") if isinstance(options, dict) else None
    name = plugin.get("name") if isinstance(plugin, dict) else None
    if isinstance(name, str):
        return name
    return params.client_info.name if params.client_info else ""


def field_of(params: Any, *names: str) -> Any:
    """A field within fields, or ``None``."""
    for name in names:
        params = params.get(name) if isinstance(params, dict) else None
    return params


def text_of(params: Any, *names: str) -> str:
    """A text within parameters.

    :raises JsonRpcInvalidParams: it is missing.
    """
    text = field_of(params, *names)
    if not isinstance(text, str):
        raise JsonRpcInvalidParams(f"{'.'.join(names)} is missing")
    return text


def position_of(position: Any) -> tuple[int, int]:
    """Line and character of a position.

    :raises JsonRpcInvalidParams: it is none.
    """
    try:
        line, character = position["line"], position["character"]
    except (TypeError, KeyError):
        line = character = None
    if not isinstance(line, int) or not isinstance(character, int):
        raise JsonRpcInvalidParams("a position needs line and character")
    return line, character
