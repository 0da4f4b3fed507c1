"""How messages are read: documents by :mod:`documents`, and parameters of other protocols as they
come."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method
from pygls.protocol.json_rpc import JsonRPCNotification, JsonRPCRequestMessage

from git_copilot.assistant.lsp.items import ACCEPTED, COPILOT_ACCEPTED

# Read as they come: clients add fields, and number the kinds of triggers differently.
UNTYPED = frozenset([types.TEXT_DOCUMENT_INLINE_COMPLETION])


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


def text_of(params: Any, *names: str) -> str:
    """A text within parameters.

    :raises JsonRpcInvalidParams: it is missing.
    """
    for name in names:
        params = params.get(name) if isinstance(params, dict) else None
    if not isinstance(params, str):
        raise JsonRpcInvalidParams(f"{'.'.join(names)} is missing")
    return params


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
