"""The place in a repository that a request names."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.models.catalogue import canonical
from git_copilot.assistant.postprocess.pairs import closers_behind
from git_copilot.assistant.prompt.location import (
    HINT,
    Document,
    Location,
    check_text,
    cut_document,
    parse_location,
    read_file,
)
from git_copilot.assistant.prompt.notebook import CellLocation, Notebook
from git_copilot.index.core.errors import CopilotError, GitError, LocationError
from git_copilot.index.core.safe_open import ResolvedPath, resolve_links
from git_copilot.index.git.remembered import RepositoryFinder
from git_copilot.index.git.repository import GitRepository, environment_overrides
from git_copilot.index.text.encodings import encoding_of, readable_text

_FINDER = RepositoryFinder()


@dataclass(frozen=True, slots=True)
class Place:
    """A location resolved in its repository: the file's path there and the text at the cursor.

    ``repo`` is ``None`` for a text that came with the request and belongs to no repository that is
    set up. ``data`` are the bytes that were read, to notice later that the file changed. ``closers`` stand
    right of the cursor and belong to the text before it, see pairs.py. For a cell ``notebook`` is
    the path of its notebook, and ``path`` that of a file with the code of the cells.
    """

    repo: GitRepository | None
    location: Location
    file: Path  # without links
    path: str
    data: bytes
    document: Document
    closers: str = ""
    notebook: str = ""

    @property
    def open_document(self) -> Document:
        """The document as if no editor had inserted the closers."""
        document = self.document
        return replace(document, suffix=document.suffix[len(self.closers) :])


def moved(place: Place, prefix: str, suffix: str) -> Place:
    """``place`` with another text around its cursor, and the cursor where ``prefix`` ends."""
    data = (prefix + suffix).encode("utf-8", "replace")
    line, column = prefix.count("\n") + 1, len(prefix) - prefix.rfind("\n")
    location = Location(place.location.file, line, column)
    document = cut_document(data, location)
    closers = closers_behind(document.prefix, document.suffix, place.path)
    return replace(place, location=location, data=data, document=document, closers=closers)


def find_place(request: CompleteRequest) -> Place:
    """Resolve the location and read the text, without loading anything.

    Links count as long as they stay in their working tree; the place is then the file that they
    lead to.

    :raises LocationError: the file or the position does not exist, or a link of the working tree
        leads out of it.
    :raises NotARepository: the file lies in no repository.
    """
    location = _read_as(parse_location(request.location), request.cwd)
    cell = CellLocation.of(location)
    if cell is not None:
        location = replace(location, file=cell.file)
    named = request.cwd / location.file
    way = _follow(named, location)
    reads = (request.text is None or cell is not None) and request.at is None
    if reads and not os.path.lexists(way.target):
        raise _missing(location, named)
    # What is not read may be a link that leads anywhere, and an older commit had other links.
    target = way.target if reads else _follow(named.parent, location).target / named.name
    known = next((p for p in target.parents if p.is_dir()), None)
    if known is None:
        raise LocationError(f"{location.file} is a folder", "name a file in it")
    if known != target.parent and request.at is None:
        raise LocationError(f"{target.parent} does not exist", "check the name")
    if reads:
        _check_links(location, way)
    repo = _repository(known)  # an older commit may have folders that are gone
    if repo.root is None:
        raise _bare(repo)
    if request.text is not None and way.target.is_relative_to(repo.root):
        target = way.target
    if not target.is_relative_to(repo.root):
        why = "GIT_DIR names that one: unset it, or " if environment_overrides() else ""
        raise LocationError(f"{location.file} is outside {repo.root}", f"{why}name a file in it")
    path = target.relative_to(repo.root).as_posix()
    if request.text is not None and cell is None:
        data = request.text
    elif request.at is not None:
        data = _read_at(repo, request.at, path)
    else:
        data = read_file(repo.root, path, location.file)
    shown = path
    if cell is None:
        document = cut_document(data, location)
    else:
        cells = Notebook.parse(data, location.file)
        document = cells.document(cell, _source(request.text))
        path += cells.extension
    closers = closers_behind(document.prefix, document.suffix, path)
    notebook = shown if cell is not None else ""
    return Place(repo, location, target, path, data, document, closers, notebook)


def _source(text: bytes | None) -> str | None:
    """The unsaved text of a cell."""
    return None if text is None else readable_text(text, encoding_of(text)).replace("\r\n", "\n")


def _follow(path: Path, location: Location) -> ResolvedPath:
    try:
        return resolve_links(path)
    except OSError as exc:
        raise LocationError(
            f"{location.file} cannot be followed ({exc.strerror})", "name the file itself"
        ) from exc


def _repository(folder: Path) -> GitRepository:
    """The repository that a person, or git in a hook, has named; else the one of ``folder``."""
    return GitRepository.discover() if environment_overrides() else _FINDER.find(folder)


def _check_links(location: Location, way: ResolvedPath) -> None:
    """:raises LocationError: a link of a working tree leads out of it, or into its ``.git``."""
    for link in way.links:
        tree = _tree_of(link, way.target)
        if tree is None:
            continue
        inside = tree.root is not None and way.target.is_relative_to(tree.root)
        private = (tree.git_dir, tree.common_dir)
        if not inside or any(way.target.is_relative_to(folder) for folder in private):
            raise LocationError(
                f"{location.file} leads through the link {link} to {way.target}, outside the "
                f"working tree of {tree.root}",
                "name the target itself if you mean it",
            )


def _tree_of(link: Path, target: Path) -> GitRepository | None:
    """The repository whose working tree has ``link``, if that can matter for ``target``."""
    if target.is_relative_to(link.parent) and ".git" not in target.parts:
        return None  # whatever has the link has what stands beside it as well
    with suppress(GitError):
        repo = _repository(link.parent)
        if repo.root is not None and link.is_relative_to(repo.root):
            return repo
        repo = GitRepository.discover(link.parent)
        return repo if repo.root is not None else None
    return None


def _read_as(location: Location, cwd: Path) -> Location:
    """``x.py:12:3`` is line 3 of the file ``x.py:12`` where that is there and ``x.py`` is not."""
    longer = f"{location.file}:{location.line}"
    if location.column is None or (cwd / location.file).exists() or not (cwd / longer).is_file():
        return location
    return Location(longer, location.column)


def _missing(location: Location, file: Path) -> CopilotError:
    """The error for a file that does not exist."""
    if location.column is not None and re.search(r":[0-9]+\Z", location.file):
        return LocationError(f"{location.file} does not exist", HINT)
    with suppress(GitError):
        repo = GitRepository.discover(next(p for p in file.parents if p.is_dir()))
        if repo.root is None:
            return _bare(repo)
    return LocationError(f"{location.file} does not exist", "check the name, or use --stdin")


def _bare(repo: GitRepository) -> CopilotError:
    return GitError(
        f"{repo.name} is a bare repository, it has no files to complete",
        "run the command in a clone or a worktree of it",
    )


def _read_at(repo: GitRepository, commit: str, path: str) -> bytes:
    """A text file as it was in a commit."""
    tree = repo.resolve(f"{commit}^{{tree}}")
    if tree is None:
        raise GitError(f"unknown revision {commit!r}", "`git log` lists commits")
    entry = repo.entry(tree, path)
    if entry is None or not entry.mode.startswith("100"):
        raise LocationError(f"{path} does not exist in {commit}", "name a file of that commit")
    data = repo.read_blob(entry.oid)
    check_text(data, path)
    return data


def model_name(request: CompleteRequest, place: Place, settings: Settings) -> str:
    """The canonical name of the model that a request wants."""
    if request.model is not None:
        return canonical(request.model, request.cwd)
    repo = place.repo
    return canonical(settings.model, request.cwd if repo is None else repo.root or repo.git_dir)
