"""Replaces text that looks like a secret by filler of the same length."""

from __future__ import annotations

from collections.abc import Callable, Container

from git_copilot.index.secrets.scan import find_secrets, fingerprint


def redact(text: str, path: str = "", allowed: Container[str] = ()) -> str:
    """Replace the letters of secrets in ``text`` by ``x`` and their digits by ``0``. All other
    characters keep their places, and ``allowed`` lines are unchanged."""
    return _redacted(text, path, allowed, lambda char: 1)


def redact_bytes(data: bytes, path: str = "", allowed: Container[str] = ()) -> bytes:
    """The same for the bytes of a file; byte offsets stay valid."""
    text = data.decode("utf-8", "surrogateescape")
    masked = _redacted(text, path, allowed, lambda char: len(char.encode()))
    return data if masked is text else masked.encode("utf-8", "surrogateescape")


def _redacted(text: str, path: str, allowed: Container[str], width: Callable[[str], int]) -> str:
    hidden: dict[int, set[int]] = {}
    for finding in find_secrets(text, path):
        hidden.setdefault(finding.line, set()).update(range(finding.start, finding.end))
    if not hidden:
        return text
    lines = text.split("\n")
    for number, columns in hidden.items():
        if allowed and fingerprint(lines[number - 1]) in allowed:
            continue
        lines[number - 1] = "".join(
            _mask(char) * width(char) if i in columns and char.isalnum() else char
            for i, char in enumerate(lines[number - 1])
        )
    return "\n".join(lines)


def _mask(char: str) -> str:
    return "0" if char.isdigit() else "x"
