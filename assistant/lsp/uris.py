"""From document URIs to paths of this machine. Pure."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

CELL_SCHEME = "vscode-notebook-cell"
_SCHEMES = frozenset(["file", CELL_SCHEME])
_DRIVE = re.compile(r"/[A-Za-z](:|%3[Aa])(/|$)")


def file_path(uri: str) -> Path | None:
    """The path of a document, for a cell that of its notebook; ``None`` for what is no file of this
    machine: an untitled buffer, a remote file, a path of Windows."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme not in _SCHEMES or not parts.path.startswith("/"):
        return None
    if parts.netloc not in ("", "localhost") or _DRIVE.match(parts.path):
        return None
    try:
        # A name may be any bytes; git and the server take them the same way.
        path = os.fsdecode(unquote_to_bytes(parts.path))
    except UnicodeEncodeError:  # half a character of UTF-16, which no file's name has
        return None
    return None if "\0" in path else Path(os.path.normpath(path))


def is_cell(uri: str) -> bool:
    """Whether the document is a cell of a notebook."""
    return uri.startswith(f"{CELL_SCHEME}:")


def uri_key(uri: str) -> str:
    """The same for all spellings of one URI: clients escape differently in different messages."""
    return unquote(uri)
