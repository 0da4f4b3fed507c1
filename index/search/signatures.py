"""Finds the signatures and import paths of definitions in a view."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import decode_path
from git_copilot.index.text.named_values import NO_VALUES

# Folders that contain packages but are none.
_ROOTS = ("src/", "lib/", "python/")
_PACKAGE_FILES = ("__init__", "index", "mod")
_SEPARATORS = {"python": ".", "rust": "::", "perl": "::", "java": ".", "kotlin": ".", "scala": "."}


@dataclass(frozen=True, slots=True)
class Signature:
    """A definition: its header on one line with all parameters, the first line of its docstring,
    its place (``line`` is 1-based), and its import path (``package.module``, followed by the names
    of enclosing definitions, ``package.module.Class``)."""

    name: str
    kind: str
    signature: str
    doc: str
    import_path: str
    path: str
    line: int


def module_path(path: str, language: str) -> str:
    """The import path of a file: with the separator of its language, without folders that only
    contain packages. ``src/shop/cart.py`` is ``shop.cart``, ``shop/__init__.py`` is ``shop``."""
    for root in _ROOTS:
        path = path.removeprefix(root)
    folder, base = posixpath.split(path)
    stem = base.partition(".")[0]
    parts = [*folder.split("/"), *([stem] if stem not in _PACKAGE_FILES else [])]
    return _SEPARATORS.get(language, "/").join(part for part in parts if part)


def signatures(db: Database, view: str, names: Sequence[str]) -> list[Signature]:
    """The definitions of ``names`` in ``view``, in the order of ``names``, then of paths and lines;
    once for each path of a file."""
    rows = db.query(
        "SELECT s.name, s.kind, s.signature, s.doc, s.scope, f.path, s.line, b.language"
        " FROM json_each(?) n CROSS JOIN symbols s ON s.name = n.value"
        " JOIN chunks c ON c.id = s.chunk_id JOIN blobs b ON b.id = c.blob_id"
        " JOIN files f ON f.blob_id = b.id JOIN views v ON v.id = f.view_id"
        f" WHERE v.name = ? AND s.{NO_VALUES} ORDER BY n.key, f.path, s.line",
        (json.dumps(list(dict.fromkeys(names))), view),
    )
    found = []
    for name, kind, signature, doc, scope, raw, line, language in rows:
        path = decode_path(raw)
        module = module_path(path, str(language))
        separator = _SEPARATORS.get(str(language), "/")
        inner = str(scope).replace(".", separator)
        found.append(
            Signature(
                name=str(name),
                kind=str(kind),
                signature=str(signature),
                doc=str(doc),
                import_path=separator.join(part for part in (module, inner) if part),
                path=path,
                line=int(str(line)),
            )
        )
    return found
