"""Finds out what the user means by a path, a commit or an author that is to be forgotten."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from git_copilot.index.core.errors import CopilotError, LocationError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import forget
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import decode_path
from git_copilot.index.store.forget import AUTHOR, COMMIT, PATH, ForgetRule

EXACT = "say which with --path, --commit or --author"


def meant(
    repo: GitRepository, db: Database, cwd: Path, what: str, kind: str | None
) -> tuple[str, str]:
    """Which of the three ``what`` is, and how it is written down.

    :param cwd: the folder that paths begin at.
    :param kind: the user's word for which of them it is.
    :raises CopilotError: none of them, or more than one.
    """
    found: dict[str, str] = {}
    if kind in (None, PATH):
        path = as_path(repo, cwd, what, must=kind == PATH)
        pattern = _pattern(repo, db, path) if path is not None else None
        if pattern is not None:
            found[PATH] = pattern
    if kind in (None, COMMIT):
        oid = repo.resolve(f"{what}^{{commit}}")
        if oid is not None:
            found[COMMIT] = oid
    if kind in (None, AUTHOR) and _is_author(repo, db, what):
        found[AUTHOR] = what
    if len(found) > 1:
        raise CopilotError(f"{what!r} is {' and '.join(f'{_a(k)}' for k in found)} here", EXACT)
    for chosen, value in found.items():
        return chosen, value
    if kind is None:
        raise CopilotError(
            f"{what!r} is no path, commit or author here",
            "name a path that is or was in this repository, or what `git log` shows",
        )
    raise CopilotError(
        f"{what!r} is no {kind} here",
        "name one that is or was in this repository" if kind == PATH else "`git log` shows them",
    )


def _a(kind: str) -> str:
    return f"an {kind}" if kind == AUTHOR else f"a {kind}"


def as_path(repo: GitRepository, cwd: Path, what: str, *, must: bool) -> str | None:
    """``what``, as typed in the current folder, as git writes it.

    :raises LocationError: it is the whole repository, or it ``must`` be a path and lies outside.
    """
    if repo.root is None:
        path = os.path.normpath(what)
    else:
        given = cwd / what
        path = os.path.relpath(given.parent.resolve() / given.name, repo.root)
    if path == os.curdir:
        raise LocationError(
            f"{what!r} is the whole repository", "`git copilot uninstall --purge` forgets that"
        )
    if path.startswith(os.pardir + os.sep) or path == os.pardir or Path(path).is_absolute():
        if must:
            raise LocationError(f"{what} is outside {repo.root or repo.name}", "name a path in it")
        return None
    return path.replace(os.sep, "/")


def _pattern(repo: GitRepository, db: Database, path: str) -> str | None:
    """``path`` as it is noted, if it means a file of index, corpus, HEAD or history, or is
    forgotten already. In the name of a file that is there, ``*``, ``?`` and ``[`` are letters."""
    if path in forget.Forgotten.load(db).paths:
        return path
    rows = db.query("SELECT path FROM files UNION SELECT path FROM holes")
    known = {decode_path(raw) for (raw,) in rows}
    known.update(entry.path for entry in repo.ls_tree(repo.head_tree_or_empty()))
    if any(name == path or name.startswith(f"{path}/") for name in known):
        return glob.escape(path)
    if any(forget.path_matches(path, name) for name in known):
        return path
    return path if forget.commits_of(repo, PATH, path) else None


def _is_author(repo: GitRepository, db: Database, value: str) -> bool:
    known = {str(author) for (author,) in db.query("SELECT DISTINCT author FROM commits")}
    if any(forget.author_matches(value, identity) for identity in known):
        return True
    return bool(forget.commits_of(repo, AUTHOR, value))


def meant_entry(
    repo: GitRepository, db: Database, cwd: Path, what: str, kind: str | None
) -> ForgetRule:
    """The forgotten thing that is meant.

    :raises CopilotError: there is none, or more than one.
    """
    path = as_path(repo, cwd, what, must=False)
    oid = repo.resolve(f"{what}^{{commit}}")
    wanted = {
        (PATH, path),
        (PATH, glob.escape(path or "")),
        (COMMIT, oid),
        (COMMIT, what.lower()),
        (AUTHOR, what),
    }
    found = [
        e for e in forget.entries(db) if (e.kind, e.value) in wanted and kind in (None, e.kind)
    ]
    if len(found) > 1:
        raise CopilotError(
            f"{what!r} is forgotten as {' and as '.join(_a(e.kind) for e in found)}", EXACT
        )
    for entry in found:
        return entry
    raise CopilotError(f"{what!r} is not forgotten", "`git copilot forget --list` shows what is")
