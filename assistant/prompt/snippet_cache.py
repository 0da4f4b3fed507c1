"""Keeps the snippets of a prompt stable while the user types, so that the cache stays valid.

Every key changes the query a little, and with it the ranks. A new order of the same snippets tells
the model nothing new, yet it has to read everything again, since snippets come first in a prompt;
one new snippet has the same effect, and every ninth key would bring one. So a line keeps its
snippets; new hits can still be copied from (copy_model.py), and enter the prompt on the next line.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from git_copilot.index.core.types import Hit

MAX_FILES = 16
# Headers further out identify the file, not the place in it.
MAX_HEADERS = 4


@dataclass(frozen=True, slots=True)
class SearchedState:
    """The state that was searched: a tree, and the uncommitted files over it except the cursor's
    own (path and version)."""

    tree: str
    uncommitted: frozenset[tuple[str, str]] = frozenset()


def scope_of(prefix: str) -> tuple[str, ...]:
    """The lines that enclose the cursor, each indented less than the one before, innermost first.
    Typing on does not change them; leaving the function does."""
    lines = prefix.split("\n")
    current = lines.pop()
    depth = _depth(current) if current.strip() else None
    headers: list[str] = []
    for line in reversed(lines):
        if depth == 0 or len(headers) == MAX_HEADERS:
            break
        if not line.strip():
            continue
        indent = _depth(line)
        if depth is None:  # on a blank line, the line before decides
            depth = indent + 1 if line.rstrip().endswith((":", "{", "(", "[")) else indent
        if indent < depth:
            headers.append(line.strip())
            depth = indent
    return tuple(headers)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def stable_snippets(before: Sequence[Hit], found: Sequence[Hit]) -> list[Hit]:
    """The snippets for a prompt on another line of an unchanged scope, best first.

    They stay the same as long as the best hit is among them. Else it is put first (in the prompt:
    last, next to the cursor), and the others keep their order, so that little is read again.

    :param before: the snippets of the last prompt of this scope.
    :param found: the new hits, best first.
    """
    if not found or not before:
        return list(found)
    known = {_place(hit) for hit in before}
    if _place(found[0]) in known:
        return list(before)
    return [found[0], *before][: max(len(before), len(found))]


def _place(hit: Hit) -> tuple[str, str]:
    # Not the lines: those of the file that is edited move.
    return hit.path, hit.text


def _typed_on(before: tuple[int, str], now: tuple[int, str]) -> bool:
    """Whether one line becomes the other by typing or deleting at its end, without emptying it."""
    number, text = now
    if number != before[0] or (before[1].strip() and not text.strip()):
        return False
    return text.startswith(before[1]) or before[1].startswith(text)


@dataclass(frozen=True, slots=True)
class _Last:
    scope: tuple[object, ...]
    line: tuple[int, str]  # its number, and its text before the cursor
    hits: tuple[Hit, ...]


class StickySnippets:
    """The snippets of the last prompts of recent files."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, _Last] = OrderedDict()

    def choose(
        self, file: str, prefix: str, state: tuple[object, ...], found: Sequence[Hit]
    ) -> list[Hit]:
        """Choose the snippets for a prompt, best first; see :func:`stable_snippets`.

        :param file: the file's full path.
        :param prefix: the text before the cursor.
        :param state: what the hits depend on (the index's tree, uncommitted files, settings);
            another state resets the file.
        """
        scope = (state, scope_of(prefix))
        line = (prefix.count("\n"), prefix.rpartition("\n")[2])
        last = self._files.pop(file, None)
        if last is None or last.scope != scope:
            hits = list(found)
        elif last.hits and _typed_on(last.line, line):
            hits = list(last.hits)
        else:
            hits = stable_snippets(last.hits, found)
        self._files[file] = _Last(scope, line, tuple(hits))
        if len(self._files) > MAX_FILES:
            self._files.popitem(last=False)
        return hits
