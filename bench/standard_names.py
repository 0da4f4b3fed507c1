"""Writes the names of Python's standard library: ``python bench/standard_names.py > FILE``.

The file is ``assistant/postprocess/standard_names.txt``: modules, what they define, and the
attributes of classes, without private names. Run it with each supported version of Python and
merge: ``sort -u``.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

# Importing these opens windows or pages, or runs something.
SKIPPED = frozenset(
    ["antigravity", "this", "idlelib", "test", "lib2to3", "turtledemo", "turtle", "tkinter"]
)


def modules() -> Iterator[ModuleType]:
    """The public modules, and those in packages."""
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in SKIPPED:
            continue
        module = _module(name)
        if module is None:
            continue
        yield module
        for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
            inner = (
                None if found.name.startswith(("_", "test")) else _module(f"{name}.{found.name}")
            )
            if inner is not None:
                yield inner


def _module(name: str) -> ModuleType | None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return importlib.import_module(name)
        except BaseException:  # noqa: BLE001 - some need another system, some exit
            return None


def names() -> set[str]:
    """All names."""
    found: set[str] = set()
    for module in modules():
        found.update(module.__name__.split("."))
        for name in dir(module):
            found.add(name)
            value = getattr(module, name, None)
            if inspect.isclass(value):
                found.update(dir(value))
    return {n for n in found if n.isidentifier() and (n[0] != "_" or n.startswith("__"))}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("\n".join(sorted(names())))
