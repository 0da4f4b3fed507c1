"""The place of a text that came without a position: found by its path, or by the text itself."""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from git_copilot.assistant.api.requests import CompleteRequest, FillRequest
from git_copilot.assistant.completion.request import Place, find_place, moved
from git_copilot.assistant.completion.text_window import Window, same_lines
from git_copilot.assistant.prompt.location import Location, cut_document, read_file
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import require_trusted
from git_copilot.index.text.classify import LANGUAGES, MAX_FILE_BYTES

if TYPE_CHECKING:
    from git_copilot.assistant.completion.session import Session

# Lines of the text that are searched, hits of each (several may be of one file), and files that are
# compared with the text.
QUERIES, HITS, COMPARED = 4, 24, 6
# Characters of a line that is searched for: a minified one has tens of thousands of words.
MAX_QUERY = 1000
MAX_KNOWN = 64
TRACKED_SECONDS = 10.0
# The least share of the lines near the cursor that stand in a file for the text to be that file's.
LEAST_SHARE = 0.6
UNTITLED = "untitled"
# Editors' names of languages that are other than tree-sitter's.
_EDITORS_NAMES = {
    "typescriptreact": "tsx", "javascriptreact": "jsx", "shellscript": "sh", "c++": "cpp",
    "cs": "cs", "objective-c": "c",
}  # fmt: skip
# A comment in which some clients name the language: "# language: python".
_NAMED = re.compile(r"^\W{1,4}language: *(\w+)", re.MULTILINE | re.IGNORECASE)
_HEAD = 400


@dataclass(frozen=True, slots=True)
class _Known:
    """A file that a text was found to come from."""

    folder: Path
    path: str


class FillPlaces:
    """Finds the places of fill requests, and remembers which text belongs to which file.

    It belongs to a session, and reads tracked files only.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: OrderedDict[int, tuple[_Known | None, float]] = OrderedDict()
        self._tracked: dict[tuple[Path, str], tuple[bool, float]] = {}

    def find(
        self, request: FillRequest, note: Callable[[str], None]
    ) -> tuple[CompleteRequest, Place]:
        """The request with its location, and the place. A text that belongs to no repository which
        is set up gets a place without one."""
        named = request.path is not None
        place = self._named(request) if named else self._by_text(request, note)
        folder = place.file.parent
        location = f"{place.path}:{place.document.line}:{place.document.column}"
        return _complete_request(request, location, folder), place

    def _named(self, request: FillRequest) -> Place:
        """The place in the file that the request names."""
        assert request.path is not None
        folders = (*request.folders, *self._session.recent_roots()) or (Path("/"),)
        # Of several folders the one where the file exists; a new file is the first one's.
        with suppress(ValueError, RuntimeError):  # no path of this system; somebody without a home
            named = Path(request.path).expanduser()
            for folder in sorted(folders, key=lambda folder: not os.path.lexists(folder / named)):
                with suppress(CopilotError, ValueError, OSError):
                    return self._in_file(request, folder, str(folder / named))
        return _scratch(request, PurePath(request.path).name)

    def _in_file(self, request: FillRequest, folder: Path, path: str) -> Place:
        """:raises CopilotError: the file is in no repository that is set up, or out of bounds."""
        window = Window(request.prefix, request.suffix)
        place = _place(window, folder, path)
        assert place.repo is not None and place.repo.root is not None
        require_trusted(place.repo.state_dir)
        if self._is_tracked(place.repo, place.path):
            with suppress(CopilotError):
                data = read_file(place.repo.root, place.path, place.path)
                whole = window.within(data.decode("utf-8", "replace"))
                if whole != window:
                    return moved(place, whole.prefix, whole.suffix)
        return place

    def _is_tracked(self, repo: GitRepository, path: str) -> bool:
        """Whether HEAD has the file. While somebody types there it is asked once."""
        key, now = (repo.git_dir, path), time.monotonic()
        known = self._tracked.get(key)
        if known is None or now - known[1] > TRACKED_SECONDS:
            if len(self._tracked) > MAX_KNOWN:
                self._tracked.clear()
            found = repo.entry(repo.head_tree_or_empty(), path) is not None
            known = self._tracked[key] = found, now
        return known[0]

    def _by_text(self, request: FillRequest, note: Callable[[str], None]) -> Place:
        """The place in the file that the text comes from; else beside the files of the first
        repository."""
        key = hash((request.suffix, request.prefix[:_HEAD], request.folders, request.language))
        known, when = self._known.pop(key, (None, float("-inf")))
        # Texts with equal beginnings may be of different files, and a new file may be committed.
        sure = (
            time.monotonic() - when <= TRACKED_SECONDS if known is None else _fits(request, known)
        )
        if not sure:
            known, when = self._search(request, note), time.monotonic()
        self._known[key] = known, when
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        if known is not None:
            with suppress(CopilotError):
                return self._in_file(request, known.folder, str(known.folder / known.path))
        name = f"{UNTITLED}{_extension(request)}"
        for repo in self._repositories(request, note):
            if repo.root is not None:
                with suppress(CopilotError):
                    return _place(Window(request.prefix, request.suffix), repo.root, name)
        return _scratch(request, name)

    def _repositories(
        self, request: FillRequest, note: Callable[[str], None]
    ) -> Iterator[GitRepository]:
        """Repositories that are set up: of the folders that are named, then those in use."""
        seen: set[Path] = set()
        for folder in (*request.folders, *self._session.recent_roots()):
            with suppress(CopilotError, OSError, ValueError):
                repo = GitRepository.discover(folder)
                if repo.git_dir not in seen and repo.root is not None:
                    seen.add(repo.git_dir)
                    self._session.workspace(repo, note)
                    yield repo

    def _search(self, request: FillRequest, note: Callable[[str], None]) -> _Known | None:
        """The file whose lines stand around the cursor."""
        near = Window(request.prefix, request.suffix).near_lines()
        for repo in self._repositories(request, note) if near else ():
            assert repo.root is not None
            found: dict[str, float] = {}
            for path in self._candidates(repo, near, note):
                found[path] = _share(repo.root, path, near)
            best = max(found, key=lambda path: found[path], default="")
            if best and found[best] >= LEAST_SHARE:
                return _Known(repo.root, best)
        return None

    def _candidates(
        self, repo: GitRepository, near: list[str], note: Callable[[str], None]
    ) -> list[str]:
        """Indexed files with the longest of the lines, likeliest first."""
        workspace = self._session.workspace(repo, note)
        workspace.look()
        searcher = workspace.searcher(None, repo.view_name)
        votes: dict[str, int] = {}
        for line in sorted(set(near), key=len, reverse=True)[:QUERIES]:
            search = partial(searcher.search_code, line[:MAX_QUERY], HITS, None)
            hits, _, _ = workspace.find(search)
            for path in {hit.path for hit in hits}:
                votes[path] = votes.get(path, 0) + 1
        return sorted(votes, key=lambda path: -votes[path])[:COMPARED]


def _fits(request: FillRequest, known: _Known) -> bool:
    """Whether the lines around the cursor still stand in the file."""
    near = Window(request.prefix, request.suffix).near_lines()
    return not near or _share(known.folder, known.path, near) >= LEAST_SHARE


def _share(root: Path, path: str, near: list[str]) -> float:
    """The share of the lines that stand in a file; 0 where it is no text of a usual size."""
    try:
        data = read_file(root, path, path)
    except CopilotError:
        return 0.0
    return same_lines(near, data.decode("utf-8", "replace")) if len(data) <= MAX_FILE_BYTES else 0.0


def _place(window: Window, folder: Path, path: str) -> Place:
    """The place of a text in a file of a repository."""
    text = (window.prefix + window.suffix).encode("utf-8", "replace")
    return find_place(CompleteRequest(f"{path}:{window.line}:{window.column}", folder, text))


def _scratch(request: FillRequest, name: str) -> Place:
    """The place of a text that belongs to no repository."""
    folder = request.folders[0] if request.folders else Path("/")
    window = Window(request.prefix, request.suffix)
    location = Location(name, window.line, window.column)
    nothing = cut_document(b"", Location(name, 1, 1))
    empty = Place(None, location, folder / name, name, b"", nothing)
    return moved(empty, window.prefix, window.suffix)


def _complete_request(request: FillRequest, location: str, folder: Path) -> CompleteRequest:
    return CompleteRequest(
        location,
        folder,
        max_tokens=request.max_tokens,
        model=request.model,
        count=request.count,
        open_texts=request.open_texts,
        automatic=request.automatic,
        client=request.client,
        latency_ms=request.latency_ms,
        time_limit_ms=request.time_limit_ms,
    )


def _extension(request: FillRequest) -> str:
    """The extension of files in the language of the text, as far as anybody tells."""
    named = _NAMED.search(request.prefix[:_HEAD])
    name = (request.language or (named[1] if named else "")).lower()
    if not name:
        endings = [PurePath(each.path).suffix for each in request.open_texts]
        return max(endings, key=endings.count, default="")
    name = _EDITORS_NAMES.get(name, name)
    if name in LANGUAGES:
        return f".{name}"
    return next((f".{ending}" for ending, language in LANGUAGES.items() if language == name), "")
