"""The names that a module or a class defines, from the index or from installed packages.

Installed packages are read as files, never imported: the project's own environment, then the
standard library of this Python.
"""

from __future__ import annotations

import ast
import os
import sysconfig
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from git_copilot.index.search.overlay import Overlay
from git_copilot.index.search.signatures import module_path
from git_copilot.index.store.database import Database
from git_copilot.index.store.views import view_paths, view_tree

# Folders of a worktree in which people keep its environment.
ENVIRONMENTS = (".venv", "venv", "env")
MAX_MEMBERS = 400
MAX_SOURCE_BYTES = 2 * 2**20
SOURCES = (".py", ".pyi")


class MemberLookup:
    """Looks names up in one view and in the environment of its worktree. The modules of a view are
    listed once for each tree."""

    def __init__(self, db: Database, view: str, root: Path | None) -> None:
        self._db, self._view, self._root = db, view, root
        self._tree: str | None = ""
        self._modules: dict[str, list[str]] = {}

    def of_module(self, module: str, overlay: Overlay) -> tuple[str, ...]:
        """The names that a Python module defines at its top level; empty: it is not known.

        :param module: its full name, such as ``package.module``.
        """
        paths = self._paths_of(module, overlay)
        if paths:
            return self._defined(paths, "", overlay)
        return installed_names(module, self._root)

    def of_class(self, name: str, overlay: Overlay) -> tuple[str, ...]:
        """The names that classes called ``name`` define in the repository."""
        rows = self._db.query(
            "SELECT DISTINCT s.name FROM symbols s JOIN chunks c ON c.id = s.chunk_id"
            " JOIN files f ON f.blob_id = c.blob_id JOIN views v ON v.id = f.view_id"
            " WHERE v.name = ? AND s.chunk_id IN (SELECT chunk_id FROM symbols WHERE scope = ?)"
            " AND s.scope = ? LIMIT ?",
            (self._view, name, name, MAX_MEMBERS),
        )
        found = [str(row[0]) for row in rows]
        found += _of_overlay(overlay, overlay.paths, name)
        return tuple(dict.fromkeys(found))

    def _paths_of(self, module: str, overlay: Overlay) -> list[str]:
        tree = view_tree(self._db, self._view)
        if tree != self._tree:
            self._tree, self._modules = tree, {}
            for path in view_paths(self._db, self._view):
                if path.endswith(SOURCES):
                    self._modules.setdefault(module_path(path, "python"), []).append(path)
        uncommitted = {
            path
            for path in overlay.paths
            if path.endswith(SOURCES) and module_path(path, "python") == module
        }
        return sorted(uncommitted.union(self._modules.get(module, ())))

    def _defined(self, paths: Sequence[str], scope: str, overlay: Overlay) -> tuple[str, ...]:
        committed = [os.fsencode(path) for path in paths if path not in overlay.files]
        found: list[str] = []
        for path in committed:
            rows = self._db.query(
                "SELECT DISTINCT s.name FROM files f JOIN views v ON v.id = f.view_id"
                " JOIN chunks c ON c.blob_id = f.blob_id JOIN symbols s ON s.chunk_id = c.id"
                " WHERE v.name = ? AND f.path = ? AND s.scope = ? LIMIT ?",
                (self._view, path, scope, MAX_MEMBERS),
            )
            found += [str(row[0]) for row in rows]
        found += _of_overlay(overlay, paths, scope)
        return tuple(dict.fromkeys(found))


def _of_overlay(overlay: Overlay, paths: Iterable[str], scope: str) -> list[str]:
    return [
        symbol.name
        for path in paths
        if (file := overlay.files.get(path)) is not None
        for chunk in file.chunks
        for symbol in chunk.symbols
        if symbol.scope == scope
    ]


def installed_names(module: str, root: Path | None) -> tuple[str, ...]:
    """The names of an installed module, from its source; empty: it is not found."""
    parts = module.split(".")
    for folder in _library_folders(root):
        base = folder.joinpath(*parts)
        for file in (base.with_suffix(".py"), base / "__init__.py", base.with_suffix(".pyi")):
            try:
                facts = file.stat()
            except OSError:
                continue
            if facts.st_size <= MAX_SOURCE_BYTES:
                return _names_in(file, facts.st_mtime_ns)
    return ()


def _library_folders(root: Path | None) -> list[Path]:
    places = [Path(os.environ["VIRTUAL_ENV"])] if os.environ.get("VIRTUAL_ENV") else []
    places += [root / name for name in ENVIRONMENTS] if root is not None else []
    found = [
        folder for place in places for folder in sorted(place.glob("lib/python3*/site-packages"))
    ]
    return [*found, Path(sysconfig.get_path("stdlib"))]


@lru_cache(maxsize=64)
def _names_in(file: Path, _stamp: int) -> tuple[str, ...]:
    """The names that a source file binds at its top level, those without an underscore first."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()
    found: dict[str, None] = {}
    pending = list(tree.body)
    for node in pending:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = None
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update(dict.fromkeys((a.asname or a.name).partition(".")[0] for a in node.names))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
            found.update(dict.fromkeys(name.id for name in names))
        elif isinstance(node, (ast.If, ast.Try)):
            pending += [*node.body, *node.orelse]
            pending += [x for h in getattr(node, "handlers", []) for x in h.body]
    public = [name for name in found if not name.startswith("_") and name != "*"]
    return tuple([*public, *(n for n in found if n.startswith("_"))][:MAX_MEMBERS])
