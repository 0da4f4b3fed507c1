"""Cuts a blob into chunks along its syntax. Pure: bytes in, chunks out.

Split then merge, as in cAST (Zhang et al. 2025, arXiv 2506.15655): a node larger than the limit
is replaced by its children, neighbours that fit together are merged. Chunks cover whole lines.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from git_copilot.index.core.types import Chunk, Symbol
from git_copilot.index.text.definitions import Definition, definitions, headers_around
from git_copilot.index.text.named_values import value_symbols
from git_copilot.index.text.parsing import ParseBudget, TooSlow, mark_too_slow, parse

if TYPE_CHECKING:
    from tree_sitter import Node

# Bump when the chunks of an unchanged blob would differ: databases made before are rebuilt.
# 2: lines that look like secrets are left out; 3: scopes, whole signatures, any encoding
# 4: more kinds of secrets; values are symbols; long lines are left out, not their files; text that
# is too expensive to parse is cut by lines
CHUNKER_VERSION = 4
# About 250 tokens: several snippets fit beside the file in a small model's prompt.
MAX_CHUNK_BYTES = 1000
MAX_CHUNK_LINES = 40
# The kind of a chunk cut by lines: plain text, or text that is too expensive to parse.
WINDOW = "window"
# When a node is split, a header of up to this many lines stays with the first part of its body.
MAX_HEADER_LINES = 8
# Deeper than hand-written code; long expressions nest one level per operator.
MAX_DEPTH = 64


class _Lines:
    """Line numbers (0-based) of byte offsets."""

    def __init__(self, data: bytes) -> None:
        self.starts = [0]
        position = data.find(b"\n")
        while position != -1:
            self.starts.append(position + 1)
            position = data.find(b"\n", position + 1)
        if self.starts[-1] == len(data) and len(self.starts) > 1:
            self.starts.pop()
        self.size = len(data)

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def start(self, line: int) -> int:
        return self.starts[line] if line < len(self.starts) else self.size


def chunk_blob(data: bytes, language: str, hidden: frozenset[int] = frozenset()) -> list[Chunk]:
    """Cut ``data`` into chunks that cover it without overlap, in order.

    :param language: a name from :func:`git_copilot.index.text.classify.language_of`.
    :param hidden: lines (1-based) to leave out: they are empty in the chunks' texts, and their
        definitions are no symbols. They do not affect where chunks begin and end.
    """
    lines = _Lines(data)
    budget = ParseBudget(len(data))
    root = parse(data, language, budget)
    defined: list[Definition] = []
    named: list[Symbol] = []
    if root is not None:
        try:
            defined = definitions(root, data, language, hidden, budget)
            named = value_symbols(root, data, language, defined, hidden, budget)
        except TooSlow:
            root, defined = None, []
            mark_too_slow(data, language)
    spans = _windows(lines, 0, len(lines)) if root is None else _syntax_spans(root, lines)
    scopes = headers_around(defined, (first + 1 for first, _ in spans))
    begins = [d.first for d in defined]
    placed = [symbol.line for symbol in named]
    chunks = []
    for (first, last), scope in zip(spans, scopes, strict=True):
        start, end = lines.start(first), lines.start(last)
        text = data[start:end].decode("utf-8", "replace")
        if not hidden.isdisjoint(range(first + 1, last + 1)):
            text = _without(text, first + 1, hidden)
        if not text.strip():
            continue
        of_own = defined[bisect_right(begins, first) : bisect_right(begins, last)]
        own = tuple(d.symbol for d in of_own)
        chunks.append(
            Chunk(
                start_line=first + 1,
                end_line=last,
                start_byte=start,
                end_byte=end,
                kind=WINDOW if root is None else (own[0].kind if own else "block"),
                name=own[0].name if own else "",
                text=text,
                # A chunk is named after its definitions, not after constants.
                symbols=(*own, *named[bisect_right(placed, first) : bisect_right(placed, last)]),
                scope=scope,
            )
        )
    return chunks


def _without(text: str, first: int, hidden: frozenset[int]) -> str:
    """``text``, whose first line is number ``first``, with its hidden lines emptied."""
    lines = text.split("\n")
    return "\n".join("" if n in hidden else line for n, line in enumerate(lines, first))


def _fits(lines: _Lines, first: int, last: int) -> bool:
    return (
        last - first <= MAX_CHUNK_LINES
        and lines.start(last) - lines.start(first) <= MAX_CHUNK_BYTES
    )


def _windows(lines: _Lines, first: int, last: int) -> list[tuple[int, int]]:
    """Cut lines ``[first, last)`` into the largest runs that fit (at least one line each)."""
    spans = []
    while first < last:
        end = first + 1
        while end < last and _fits(lines, first, end + 1):
            end += 1
        spans.append((first, end))
        first = end
    return spans


def _syntax_spans(root: Node, lines: _Lines) -> list[tuple[int, int]]:
    """Line spans ``[first, last)`` covering the whole blob, broken between syntax nodes."""
    return _split([root], 0, len(lines), lines, 0)


def _split(
    nodes: list[Node], first: int, last: int, lines: _Lines, depth: int
) -> list[tuple[int, int]]:
    """Cut lines ``[first, last)``, which hold ``nodes``, between their children."""
    if _fits(lines, first, last):
        return [(first, last)]
    items = _items([child for node in nodes for child in node.children], first, last)
    if depth > MAX_DEPTH or not items:
        return _windows(lines, first, last)
    spans: list[tuple[int, int]] = []
    group: tuple[int, int] | None = None
    for begin, end, children in items:
        if group is not None and _fits(lines, group[0], end):
            group = (group[0], end)
        elif _fits(lines, begin, end):
            spans.extend([group] if group else [])
            group = (begin, end)
        else:
            if group is not None and group[1] - group[0] <= MAX_HEADER_LINES:
                begin = group[0]  # a header (`class X:`, decorators) stays with its body
            elif group is not None:
                spans.append(group)
            group = None
            spans.extend(_split(children, begin, end, lines, depth + 1))
    return [*spans, group] if group else spans


def _items(children: list[Node], first: int, last: int) -> list[tuple[int, int, list[Node]]]:
    """Contiguous line spans of siblings. Siblings that share a line are one item, as are a comment
    and the node below it."""
    starts: list[tuple[int, list[Node]]] = []
    glue_from = -1
    for child in children:
        begin, end = child.start_point.row, child.end_point.row
        if child.end_point.column == 0 and end > begin:
            end -= 1  # the node ends with its newline: the next line is not its own
        if starts and begin <= glue_from:
            starts[-1][1].append(child)
        else:
            starts.append((begin, [child]))
        # A comment extends to the node on the line below it.
        glue_from = max(glue_from, end + 1 if child.type == "comment" else end)
    edges = [first, *(max(begin, first) for begin, _ in starts[1:]), last]
    return [
        (begin, end, nodes)
        for begin, end, (_, nodes) in zip(edges, edges[1:], starts, strict=False)
        if end > begin
    ]
