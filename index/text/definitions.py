"""Finds the definitions in a syntax tree: names, headers, scopes and docstrings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from git_copilot.index.core.types import Symbol
from git_copilot.index.text.parsing import ParseBudget, TooSlow

if TYPE_CHECKING:
    from tree_sitter import Node, Query

MAX_NAME = 160
# A header longer than this, in characters of one line, is cut.
MAX_SIGNATURE = 240
MAX_DOC = 160
# Definitions nested deeper than this are ignored: nobody looks for them.
MAX_NESTED = 64
_ENDINGS = ("_definition", "_declaration", "_item", "_spec", "_signature")
_NOT_NAMES = ("import", "package", "field", "parameter", "namespace_use", "variable")
_COMMENT_MARKS = "/*#-!;%(){}<> \t\"'"


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition on lines ``first`` to ``last`` (1-based, inclusive), with its symbol."""

    first: int
    last: int
    symbol: Symbol


@cache
def _query(language: str) -> Query | None:
    """The query for the definitions of a language, or ``None`` if its grammar has none."""
    from tree_sitter import Query
    from tree_sitter_language_pack import get_language

    grammar = get_language(language)  # type: ignore[arg-type, unused-ignore]
    kinds = {
        kind
        for i in range(grammar.node_kind_count)
        if grammar.node_kind_is_named(i)
        and grammar.node_kind_is_visible(i)
        and (kind := grammar.node_kind_for_id(i) or "").endswith(_ENDINGS)
        and not kind.startswith(_NOT_NAMES)
    }
    if not kinds:
        return None
    return Query(grammar, f"[{' '.join(f'({kind})' for kind in sorted(kinds))}] @found")


def definitions(
    root: Node,
    data: bytes,
    language: str,
    hidden: frozenset[int] = frozenset(),
    budget: ParseBudget | None = None,
) -> list[Definition]:
    """Every named definition whose header has no hidden line, in the order of their lines.

    :param hidden: lines (1-based) that must not be revealed.
    :param budget: limits the time; examining each definition is slow in a deep tree.
    :raises TooSlow: the budget is exhausted.
    """
    from tree_sitter import QueryCursor

    query = _query(language)
    nodes = QueryCursor(query).captures(root).get("found", []) if query is not None else []
    found: list[Definition] = []
    around: list[tuple[int, str]] = []  # end byte and name of the definitions that are open
    for node in sorted(nodes, key=lambda n: (n.start_byte, -n.end_byte)):
        if budget is not None and budget.is_exhausted():
            raise TooSlow
        name = _name_node(node)
        if name is None or name.end_byte - name.start_byte > MAX_NAME:
            continue
        body = node.child_by_field_name("body")
        first = node.start_point.row + 1
        # The body may begin on the header's own line.
        last_of_header = max(first, name.start_point.row + 1, body.start_point.row if body else 0)
        while around and around[-1][0] <= node.start_byte:
            around.pop()
        if len(around) >= MAX_NESTED:
            continue
        text = _text(data[name.start_byte : name.end_byte])
        scope = ".".join(other for _, other in around)
        around.append((node.end_byte, text))
        if not hidden.isdisjoint(range(first, last_of_header + 1)):
            continue
        symbol = Symbol(
            text,
            node.type.rsplit("_", 1)[0],
            first,
            _signature(node, body, data),
            scope,
            _doc(node, body, data, hidden),
        )
        found.append(Definition(first, node.end_point.row + 1, symbol))
    return sorted(found, key=lambda d: d.first)


def headers_around(found: Sequence[Definition], lines: Iterable[int]) -> Iterator[str]:
    """For each of some ascending lines (1-based), the headers of the enclosing definitions that
    begin above it, one per line, outermost first.

    :param found: sorted by first line.
    """
    open_: list[Definition] = []
    begun = 0
    for line in lines:
        while begun < len(found) and found[begun].first < line:
            open_.append(found[begun])
            begun += 1
        open_ = [d for d in open_ if line <= d.last]
        yield "\n".join(d.symbol.signature for d in open_)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _signature(node: Node, body: Node | None, data: bytes) -> str:
    """The header on one line: everything before the body, or the first line."""
    header = data[node.start_byte : body.start_byte if body is not None else node.end_byte]
    if body is None:
        header = header.split(b"\n", 1)[0]
    return " ".join(_text(header[: 4 * MAX_SIGNATURE]).split())[:MAX_SIGNATURE]


def _doc(node: Node, body: Node | None, data: bytes, hidden: frozenset[int]) -> str:
    """The first line of the docstring, or else of the comment directly above."""
    first = body.named_children[0] if body is not None and body.named_child_count else None
    if first is not None and first.type == "expression_statement" and first.named_child_count:
        first = first.named_children[0]
    if first is not None and first.type == "string":
        return _first_words(first, data, hidden)
    outer = (
        node.parent if node.parent is not None and node.parent.type.startswith("decor") else node
    )
    above, comment = outer.prev_named_sibling, None
    row = outer.start_point.row
    while above is not None and above.type.endswith("comment") and above.end_point.row >= row - 1:
        comment, row = above, above.start_point.row
        above = above.prev_named_sibling
    return _first_words(comment, data, hidden) if comment is not None else ""


def _first_words(node: Node, data: bytes, hidden: frozenset[int]) -> str:
    """The first line of a string or comment with any text, without quotes or comment markers."""
    lines = _text(data[node.start_byte : node.end_byte]).split("\n")
    for number, line in enumerate(lines, node.start_point.row + 1):
        said = line.strip().lstrip("rRbBuUfF" if line[:2].endswith(("'", '"')) else "")
        said = said.strip(_COMMENT_MARKS)
        if said and number not in hidden:
            return said[:MAX_DOC]
    return ""


def _name_node(node: Node) -> Node | None:
    """The node of the defined identifier (C nests it in declarators)."""
    named = node.child_by_field_name("name")
    if named is not None:
        return named
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "identifier":
        declarator = declarator.child_by_field_name("declarator")
    return declarator
