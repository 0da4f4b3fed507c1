"""Keeps the snippets of a prompt in place while one types, so that the cache behind them stays.

Every key changes the query a little, and with it the ranks; a new order of the same snippets says
nothing new to the model but makes it read everything again. Snippets stand before all else in a
prompt, so that one new snippet does too: where each key may bring one, every ninth key does.
Hence a line keeps its snippets; what is found meanwhile can still be copied from (copy_model.py), and
comes into the prompt with the next line.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from git_copilot.index.core.types import Hit

MAX_FILES = 16
# Headers further out say what file it is, not where in it.
MAX_HEADERS = 4


@dataclass(frozen=True, slots=True)
class SearchedState:
    """What snippets were looked for in: a tree, and what lies over it but for the own file."""

    tree: str
    loose: frozenset[tuple[str, str]] = frozenset()


def scope_of(prefix: str) -> tuple[str, ...]:
    """What encloses the cursor: the lines before it that are indented less and less, innermost
    first. Typing on keeps it; leaving the function changes it."""
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
        if depth is None:  # on a blank line, the line before says where one is
            depth = indent + 1 if line.rstrip().endswith((":", "{", "(", "[")) else indent
        if indent < depth:
            headers.append(line.strip())
            depth = indent
    return tuple(headers)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def settle(before: Sequence[Hit], found: Sequence[Hit]) -> list[Hit]:
    """The snippets for a prompt on another line of a scope that has not changed, best first.

    They stay as they were before as long as the best one found now is among them. Else it comes
    first (in the prompt: last, next to the cursor), and the others stay in their order, so that
    what is read again is short.

    :param before: what the last prompt of this scope was given.
    :param found: what was found now, best first.
    """
    if not found or not before:
        return list(found)
    known = {_place(hit) for hit in before}
    if _place(found[0]) in known:
        return list(before)
    return [found[0], *before][: max(len(before), len(found))]


def _place(hit: Hit) -> tuple[str, str, int, int]:
    return hit.path, hit.blob, hit.start_line, hit.end_line


def _typed_on(before: tuple[int, str], now: tuple[int, str]) -> bool:
    """Whether one line becomes the other by typing at its end or deleting there, and not all."""
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
    """What the last prompts of some files were given."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, _Last] = OrderedDict()

    def settle(
        self, file: str, prefix: str, state: tuple[object, ...], found: Sequence[Hit]
    ) -> list[Hit]:
        """The snippets for a prompt, best first; see :func:`settle`.

        :param file: the file's full path.
        :param prefix: the text before the cursor.
        :param state: what the snippets were found in (the index's tree, what is not committed,
            settings): another state starts anew.
        """
        scope = (state, scope_of(prefix))
        line = (prefix.count("\n"), prefix.rpartition("\n")[2])
        last = self._files.pop(file, None)
        if last is None or last.scope != scope:
            hits = list(found)
        elif last.hits and _typed_on(last.line, line):
            hits = list(last.hits)
        else:
            hits = settle(last.hits, found)
        self._files[file] = _Last(scope, line, tuple(hits))
        if len(self._files) > MAX_FILES:
            self._files.popitem(last=False)
        return hits
