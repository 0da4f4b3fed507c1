"""The JSON of an error in the form of each protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ErrorForm = Callable[[int, str], dict[str, Any]]
# Types of OpenAI's and llama.cpp's errors, by status.
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 408: "timeout_error", 409: "conflict_error", 413: "invalid_request_error",
    503: "unavailable_error",
}  # fmt: skip


def _type(status: int) -> str:
    return _TYPES.get(status, "server_error")


def openai_error(status: int, message: str) -> dict[str, Any]:
    """As OpenAI's API, which Tabby's clients read as well."""
    return {"error": {"message": message, "type": _type(status), "param": None, "code": None}}


def llama_error(status: int, message: str) -> dict[str, Any]:
    """As llama.cpp's server."""
    return {"error": {"code": status, "message": message, "type": _type(status)}}


def mistral_error(status: int, message: str) -> dict[str, Any]:
    """As Mistral's API."""
    return {
        "object": "error",
        "message": message,
        "type": _type(status),
        "param": None,
        "code": None,
    }


def ollama_error(status: int, message: str) -> dict[str, Any]:
    """As Ollama's API."""
    return {"error": message}


def error_form(path: str) -> ErrorForm:
    """The form in which the clients of a path expect errors."""
    if path.startswith("/api/"):
        return ollama_error
    if path.endswith("/fim/completions"):
        return mistral_error
    return llama_error if path in ("/infill", "/props", "/health") else openai_error
