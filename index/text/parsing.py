"""Parses text within limits: 100 KB of brackets, tags or quotes can keep a grammar busy for
minutes, and the resulting tree is useless. Callers that get no tree work by lines.

Most such texts are recognised by their content or tree, which is the same on every machine. The
last resort is a limit on CPU time (not wall time, so an index does not depend on the load).
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from git_copilot.index.text.classify import TEXT

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

# CPU time for one text. No file of click, flask, datasette, mypy and starlette took a fifth of it.
SECONDS, SECONDS_PER_BYTE = 1.0, 4 / 2**20
# The parser reads pieces of this size; the time is checked between two pieces.
PIECE_BYTES = 1024
# An error node with more children than this has no structure, and looking for definitions in it
# takes quadratic time.
MAX_ERROR_PARTS = 4000
# The HTML scanner copies all open tags at every tag: the limit on copied tags per text.
MAX_TAG_COPIES = 10_000_000
TAGGED = frozenset({"html", "vue"})
_TAG = re.compile(rb"<(/?)([A-Za-z][\w:-]*)")
# Tags that are never closed, or that the next tag of their kind closes.
_SINGLE = frozenset(
    b"area base br col embed hr img input link meta param source track wbr"
    b" p li dt dd option optgroup tr td th thead tbody tfoot colgroup".split()
)
# Digests of texts that took too long: a query, or the next hole in a blob, does not try again.
MAX_REMEMBERED = 1000
_slow: OrderedDict[bytes, None] = OrderedDict()


class TooSlow(Exception):
    """The time budget for a text is exhausted."""


class ParseBudget:
    """The CPU time that this thread may spend on a text of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self._end = time.thread_time() + SECONDS + SECONDS_PER_BYTE * size

    def is_exhausted(self) -> bool:
        return time.thread_time() > self._end


class _Parsers(threading.local):
    """Parsers per thread: while one parser reads its input, another thread may start to parse."""

    def __init__(self) -> None:
        self.made: dict[str, Parser | None] = {}

    def of(self, language: str) -> Parser | None:
        if language not in self.made:
            self.made[language] = _new_parser(language)
        return self.made[language]


_parsers = _Parsers()


def _new_parser(language: str) -> Parser | None:
    from tree_sitter_language_pack import get_parser

    try:
        return get_parser(language)  # type: ignore[no-any-return, arg-type, unused-ignore]
    except LookupError:
        return None


def has_grammar(language: str) -> bool:
    """Whether there is a grammar for ``language``."""
    return language != TEXT and _parsers.of(language) is not None


def parse(data: bytes, language: str, budget: ParseBudget | None = None) -> Node | None:
    """The root of the syntax tree; ``None`` for a language without a grammar, and for a text that
    is too expensive to parse.

    :param budget: the remaining time; by default, the full budget for a text of this size.
    """
    parser = None if language == TEXT else _parsers.of(language)
    if parser is None or (language in TAGGED and _copied_tags(data) > MAX_TAG_COPIES):
        return None
    if _slow and _digest(data, language) in _slow:
        return None
    root = _parse(parser, data, budget or ParseBudget(len(data)))
    if root is None:
        mark_too_slow(data, language)
    return None if root is None or _is_shapeless(root) else root


def mark_too_slow(data: bytes, language: str) -> None:
    """Remember that processing this text takes too long: :func:`parse` will return ``None``."""
    _slow[_digest(data, language)] = None
    while len(_slow) > MAX_REMEMBERED:
        _slow.popitem(last=False)


def _digest(data: bytes, language: str) -> bytes:
    return hashlib.blake2b(data, digest_size=16, key=language.encode()).digest()


def _parse(parser: Parser, data: bytes, budget: ParseBudget) -> Node | None:
    """The root, or ``None`` once ``budget`` is exhausted."""
    over = False

    # Not `timeout_micros`, which measures wall time, nor `progress_callback`, which crashes in
    # tree-sitter 0.25.2.
    def read(offset: int, _: object) -> bytes:
        nonlocal over
        over = over or budget.is_exhausted()
        return b"" if over else data[offset : offset + PIECE_BYTES]

    tree = parser.parse(read)
    return None if over else tree.root_node


def _is_shapeless(root: Node) -> bool:
    """Whether an error node has so many children that the tree is useless."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.has_error:
            if node.is_error and node.child_count > MAX_ERROR_PARTS:
                return True
            pending.extend(node.children)
    return False


def _copied_tags(data: bytes) -> int:
    """Approximately how many open tags the scanner copies: the sum of the depths of all tags."""
    depth = copies = 0
    for closing, name in _TAG.findall(data):
        if closing:
            depth = max(0, depth - 1)
        elif name.lower() not in _SINGLE:
            depth += 1
        copies += depth
    return copies
