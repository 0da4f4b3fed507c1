"""From an open document and a place in it to the request that the server gets."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.api.requests import CompleteRequest, OpenText
from git_copilot.assistant.lsp.documents import BOM, SyncedDocument, server_location
from git_copilot.assistant.lsp.positions import Cursor
from git_copilot.index.core.safe_open import open_regular

# Unsaved buffers that go along with each request: the ones used last.
MAX_OPEN_TEXTS = 8
MAX_TEXT_CHARACTERS = 128 * 1024
MAX_ALL_CHARACTERS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the name of this client, how many items are wanted, and whether by itself."""

    client: str
    count: int
    automatic: bool


def worktree_of(path: Path) -> Path | None:
    """The folder with ``.git`` that a file lies in, which may have been deleted since."""
    return next((p for p in path.parents if os.path.lexists(p / ".git")), None)


def is_possible(path: Path) -> bool:
    """Whether a file may have this path, which need not exist: it is not too long."""
    try:
        os.lstat(path)
    except OSError as exc:
        return exc.errno != errno.ENAMETOOLONG
    return True


def complete_request(
    path: Path, lines: list[str], cursor: Cursor, others: tuple[OpenText, ...], asker: Asker
) -> CompleteRequest:
    """The request for a place in a text that belongs at ``path``."""
    line, column = server_location(lines, cursor)
    folder = next(p for p in path.parents if _is_folder(p))  # the root is always one
    name = path.relative_to(folder)
    return CompleteRequest(
        location=f"{name}:{line}:{column}",
        cwd=folder,
        # A client may send half a character, of those that take two units in UTF-16.
        text="".join(lines).encode("utf-8", "replace"),
        count=asker.count,
        open_texts=others,
        automatic=asker.automatic,
        client=asker.client,
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # in a folder that may not be entered
        return False


class UnsavedTexts:
    """Finds the buffers that differ from their files, reading a file again only when it or the
    buffer changed."""

    def __init__(self) -> None:
        self._compared: dict[str, tuple[tuple[int, int, int], bool]] = {}

    def beside(
        self, document: SyncedDocument, documents: Iterable[SyncedDocument]
    ) -> tuple[OpenText, ...]:
        """Unsaved buffers of the same worktree, at most :data:`MAX_OPEN_TEXTS`."""
        root = None if document.path is None else worktree_of(document.path)
        if root is None:
            return ()
        found: list[OpenText] = []
        room = MAX_ALL_CHARACTERS
        for other in documents:
            path = other.path
            # A cell's path is that of its notebook, whose file is no code.
            if path is None or path == document.path or path.suffix == ".ipynb":
                continue
            if len(found) == MAX_OPEN_TEXTS or worktree_of(path) != root:
                continue
            length = sum(map(len, other.lines))
            if length <= min(room, MAX_TEXT_CHARACTERS) and self._differs(other, path):
                room -= length
                found.append(OpenText(str(path), other.text.removeprefix(BOM)))
        return tuple(found)

    def forget(self, uri: str) -> None:
        """Drop what is known of a document that was closed."""
        self._compared.pop(uri, None)

    def _differs(self, document: SyncedDocument, path: Path) -> bool:
        try:
            facts = path.stat()
        except OSError:
            return True  # not saved yet, or deleted
        state = (document.revision, facts.st_mtime_ns, facts.st_size)
        before = self._compared.get(document.uri)
        if before is None or before[0] != state:
            before = (state, _read(path) != document.text.removeprefix(BOM))
            self._compared[document.uri] = before
        return before[1]


def _read(path: Path) -> str | None:
    """The text of a file as an editor has it; ``None`` where that is not certain, as for a pipe,
    which would be waited for."""
    try:
        with open_regular(os.path.realpath(path), str(path)) as file:
            data = file.read(4 * MAX_TEXT_CHARACTERS + 1)
    except OSError:
        return None
    return data.decode("utf-8", "replace").removeprefix(BOM)
