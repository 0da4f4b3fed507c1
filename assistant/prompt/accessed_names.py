"""What Python code at a cursor asks a name of: a module, or the class around it. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from git_copilot.index.search.signatures import module_path

# Every repetition is possessive or bounded: files hold lines of nothing but spaces or dots.
_FROM = re.compile(r"\s*+from\s++([\w.]++)\s++import\s++(?:\(\s*+)?+(?:[\w\s,]*,\s*+)?(\w*)$")
_ATTRIBUTE = re.compile(r"(?<![\w.)\]])([^\W\d]\w*(?:\.[^\W\d]\w*)*)\.(\w*)$")
_CLASS = re.compile(r"^( *)class\s++(\w++)\s*(?:\(([^)]{0,2000}+)\))?", re.MULTILINE)
_MEMBER = re.compile(
    r"\b(?:self|cls)\.(\w++)\s*+(?::[^=\n]{1,500}+)?+=(?!=)"
    r"|(?:^[^\S\n]++|(?<=\n\n))(?:async )?def (\w+)",
    re.MULTILINE,
)
# A longer line is not written by hand.
MAX_LINE = 2000


@dataclass(frozen=True, slots=True)
class Access:
    """A member that is asked for: ``begun`` is the beginning of its name, ``modules`` are full names
    of modules that may be meant, ``classes`` names of classes, and ``members`` are known from the
    file itself."""

    begun: str
    modules: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


def accessed(prefix: str, suffix: str, path: str) -> Access | None:
    """What a name at the end of ``prefix`` would be a member of; ``None``: of nothing known."""
    line = prefix.rpartition("\n")[2]
    if len(line) > MAX_LINE:
        return None
    if found := _FROM.match(line):
        module = absolute_module(found[1], path)
        return Access(found[2], (module,)) if module else None
    if not (found := _ATTRIBUTE.search(line)):
        return None
    receiver = found[1]
    if receiver in ("self", "cls"):
        return _of_class(found[2], prefix, suffix)
    module = _imported(receiver, prefix, path)
    return Access(found[2], (module,)) if module else None


def absolute_module(name: str, path: str) -> str:
    """The full name of a module that a file at ``path`` imports as ``name``."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    folder = posixpath.dirname(path)
    for _ in range(level - 1):
        folder = posixpath.dirname(folder)
    package = module_path(f"{folder}/__init__.py", "python") if folder else ""
    return ".".join(part for part in (package, name[level:]) if part)


def _imported(receiver: str, prefix: str, path: str) -> str:
    """The module that ``receiver`` names, by the file's imports; empty: none."""
    first, _, rest = receiver.partition(".")
    begin = r"^[^\S\n]*+import\s++(?:[\w., ]*,\s*+)?"
    alias = re.search(rf"{begin}([\w.]++)\s++as\s++{first}\b", prefix, re.MULTILINE)
    if alias:
        return f"{alias[1]}.{rest}" if rest else alias[1]
    if re.search(rf"{begin}(?:{re.escape(receiver)}|{first})\b", prefix, re.MULTILINE):
        return receiver
    module = _imported_from(first, prefix)
    if module is None:
        return ""
    package = absolute_module(module, path)
    return ".".join(part for part in (package, receiver) if part)


def _imported_from(name: str, prefix: str) -> str | None:
    """The first module from which ``prefix`` imports ``name``, in one pass over the text: that of the
    statement before the name, if its line or its parentheses go on up to there."""
    module, end = None, ""
    begun = 0
    for found in re.finditer(
        rf"^[^\S\n]*+from\s++([\w.]++)\s++import\s++(\()?+|\b{name}\b", prefix, re.MULTILINE
    ):
        if found[1] is not None:
            module, end, begun = found[1], ")" if found[2] else "\n(", found.end()
        elif module is not None:
            if all(prefix.find(mark, begun, found.start()) < 0 for mark in end):
                return module
            module = None
    return None


def _of_class(begun: str, prefix: str, suffix: str) -> Access | None:
    """The members of the class around the cursor, as far as the file shows them."""
    line = prefix.rpartition("\n")[2]
    depth = len(line) - len(line.lstrip())
    around = [found for found in _CLASS.finditer(prefix) if len(found[1]) < depth]
    if not around:
        return None
    header = around[-1]
    indent = len(header[1])
    end = re.search(rf"^ {{0,{indent}}}\S", suffix.partition("\n")[2], re.MULTILINE)
    below = suffix if end is None else suffix.partition("\n")[2][: end.start()]
    body = prefix[header.end() :] + "\n" + below
    names = [name for pair in _MEMBER.findall(body) for name in pair if name]
    bases = [base.strip().rpartition(".")[2] for base in (header[3] or "").split(",")]
    classes = tuple(base for base in bases if base.isidentifier())
    return Access(begun, (), classes, tuple(dict.fromkeys(names)))
