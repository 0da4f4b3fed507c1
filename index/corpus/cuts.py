"""Strategies for cutting a hole into added lines. Pure: text and place in, a span or none out.

The end of a line and blocks of up to three lines follow arXiv 2503.14201; syntax nodes follow
AST-FIM (arXiv 2506.00204); character cuts keep a model from learning that holes end where lines
do (Bavarian et al. 2022, arXiv 2207.14255, section 4.4); bodies below a docstring and blocks
below a comment are the comment-to-code pairs of StarPilot and "Build Your Own Copilot".
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from git_copilot.index.text.parsing import ParseBudget, parse

if TYPE_CHECKING:
    from tree_sitter import Node

MIN_TOKENS, MAX_TOKENS = 3, 50
MAX_BLOCK_LINES = 3
# The most tokens in a hole of several lines: three full lines.
MAX_BLOCK_TOKENS = MAX_TOKENS * MAX_BLOCK_LINES
MAX_CHARACTER_LINES = 6
# Lines on each side of the added ones that are parsed with them.
WINDOW_LINES = 100
# A longer window is data, or crafted to keep a parser busy.
MAX_WINDOW_BYTES = 1 << 16
# A model that was never trained to write indentation ends at once at a cursor in column 1.
INDENTATION_SHARE = 0.5
# A middle with a larger share of digits is data.
MAX_DIGITS = 0.5
# A word this long is a hash, a key or encoded data.
MAX_WORD = 60
BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(r"\w+|[^\w\s]")
_LETTER = re.compile(r"[^\W\d_]")
_DOCSTRINGS = ("string", "expression_statement")


@dataclass(frozen=True, slots=True)
class Span:
    """A byte span ``[start, end)`` of a blob, and the strategy that cut it."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Block:
    """Added lines ``[first, last)``, 0-based, and the run of added lines that contains them."""

    first: int
    last: int
    run_first: int
    run_last: int


class SourceText:
    """A blob with its lines and, on demand, its syntax nodes."""

    def __init__(self, data: bytes, language: str) -> None:
        self.data = data
        self.language = language
        self._budget = ParseBudget(len(data))  # for all windows together
        # A byte order mark is not typed text.
        first = len(BOM) if data.startswith(BOM) else 0
        self.starts = [first, *(m.end() for m in re.finditer(b"\n", data))]
        if self.starts[-1] != len(data):
            self.starts.append(len(data))

    @property
    def lines(self) -> int:
        return len(self.starts) - 1

    def content_end(self, line: int) -> int:
        """The offset where the line's text ends, before newline and trailing white space."""
        start, end = self.starts[line], self.starts[line + 1]
        return start + len(self.data[start:end].rstrip())

    def content_start(self, line: int) -> int:
        """The offset where the line's text begins, after its indentation."""
        start, end = self.starts[line], self.content_end(line)
        return end - len(self.data[start:end].lstrip())

    def line_at(self, offset: int) -> int:
        return min(bisect_right(self.starts, offset) - 1, self.lines - 1)

    def text(self, start: int, end: int) -> str:
        return self.data[start:end].decode("utf-8")

    def _parse_around(self, start: int, end: int) -> Node | None:
        """The tree of the lines around ``[start, end)``, with offsets in the whole file.

        Parsing whole files for a few added lines would dominate mining time. The window begins at
        an unindented line, where most languages begin a definition; the text before it is blanked
        rather than cut off.
        """
        first = max(0, self.line_at(start) - WINDOW_LINES)
        while first > 0 and self.content_start(first) != self.starts[first]:
            first -= 1
        last = min(self.lines, self.line_at(end) + WINDOW_LINES)
        begin = self.starts[first]
        if self.starts[last] - begin > MAX_WINDOW_BYTES or self._budget.is_exhausted():
            return None
        window = b"\n" * begin + self.data[begin : self.starts[last]]
        return parse(window, self.language, self._budget)

    def nodes_within(self, start: int, end: int) -> list[Node]:
        """Named nodes without syntax errors inside ``[start, end)``, in the order of their first
        byte."""
        found: list[Node] = []
        root = self._parse_around(start, end)
        pending = [] if root is None or start >= end else [root]
        while pending:
            node = pending.pop()
            # Visit overlapping nodes only: a commit adds little to a large file.
            inner = [c for c in node.children if c.start_byte < end and c.end_byte > start]
            pending.extend(reversed(inner))
            inside = start <= node.start_byte and node.end_byte <= end
            if inside and node.is_named and not node.has_error:
                found.append(node)
        return found


def is_worth_completing(text: str, least: int = MIN_TOKENS, most: int = MAX_BLOCK_TOKENS) -> bool:
    """Whether a person could be expected to write this: ``least`` to ``most`` tokens, at least one
    letter, neither a table of numbers nor encoded data."""
    tokens = _TOKEN.findall(text)
    if not least <= len(tokens) <= most or not _LETTER.search(text):
        return False
    solid = [c for c in text if not c.isspace()]
    if sum(c.isdigit() for c in solid) > MAX_DIGITS * len(solid):
        return False
    return max(map(len, tokens)) <= MAX_WORD


def cut_line(source: SourceText, block: Block, rng: random.Random) -> Span | None:
    """The last tokens of one line, leaving at least one before the cursor."""
    line = rng.randrange(block.first, block.last)
    begin, end = source.starts[line], source.content_end(line)
    text = source.text(begin, end)
    tokens = list(_TOKEN.finditer(text))
    if len(tokens) <= MIN_TOKENS:
        return None
    masked = rng.randint(MIN_TOKENS, min(MAX_TOKENS, len(tokens) - 1))
    start = begin + len(text[: tokens[-masked].start()].encode())
    return _span(source, start, end, "line", most=MAX_TOKENS)


def cut_lines(source: SourceText, block: Block, rng: random.Random) -> Span | None:
    """One to three whole lines, with the first one's indentation or without it."""
    first = rng.randrange(block.first, block.last)
    last = rng.randint(first + 1, block.last)
    while first < last and source.content_end(first) == source.starts[first]:
        first += 1
    while last > first and source.content_end(last - 1) == source.starts[last - 1]:
        last -= 1
    if first == last:
        return None
    start = _with_indentation(source, source.content_start(first), rng)
    return _span(source, start, source.content_end(last - 1), "lines")


def cut_node(source: SourceText, block: Block, rng: random.Random) -> Span | None:
    """A syntax node that begins in the block and is inside its run. Large nodes are as likely as
    small ones: first a size is drawn, then a node of that size."""
    end = source.starts[block.run_last]
    nodes = [
        node
        for node in source.nodes_within(source.starts[block.first], end)
        if node.start_byte < source.starts[block.last]
    ]
    sizes: dict[int, list[tuple[int, int]]] = {}
    for node in nodes:
        span = node.start_byte, node.end_byte - _trailing(source, node)
        sizes.setdefault((span[1] - span[0]).bit_length(), []).append(span)
    for size in rng.sample(sorted(sizes), len(sizes)):
        start, stop = rng.choice(sizes[size])
        if _span(source, start, stop, "node") is not None:
            return _span(source, _with_indentation(source, start, rng), stop, "node")
    return None


def cut_characters(source: SourceText, block: Block, rng: random.Random) -> Span | None:
    """From any character to any later one, within a few lines; may begin and end inside a word."""
    first = rng.randrange(block.first, block.last)
    last = min(first + rng.randint(1, MAX_CHARACTER_LINES), block.run_last)
    begin = source.starts[first]
    text = source.text(begin, source.content_end(last - 1))
    if len(text) < MIN_TOKENS:
        return None
    low, high = sorted(rng.sample(range(len(text) + 1), 2))
    if text[low : low + 1] == "\n" and text[:low].endswith("\r"):
        low -= 1  # a line end stays whole
    high = low + len(text[low:high].rstrip("\r\n"))
    start, end = begin + len(text[:low].encode()), begin + len(text[:high].encode())
    return _span(source, start, end, "chars", least=1)


def cut_described(source: SourceText, block: Block, rng: random.Random) -> Span | None:
    """Code that a docstring or a leading comment describes: the body of a function, or the lines
    from a comment to the next blank line or smaller indentation."""
    begin, end = source.starts[block.run_first], source.starts[block.run_last]
    places = [
        place
        for node in source.nodes_within(begin, end)
        if (place := _described(source, node, end)) is not None
    ]
    rng.shuffle(places)
    for start, stop, kind in places:
        if _span(source, start, stop, kind) is not None:
            return _span(source, _with_indentation(source, start, rng), stop, kind)
    return None


def _described(source: SourceText, node: Node, limit: int) -> tuple[int, int, str] | None:
    """The start, end and kind of the code that ``node`` describes."""
    if node.type == "comment":
        return _below_comment(source, node, limit)
    body = node.child_by_field_name("body")
    if body is None or not node.type.startswith(("function", "method")):
        return None
    inner = [child for child in body.children if child.is_named]
    if not inner:
        return None
    last = inner[-1].end_byte - _trailing(source, inner[-1])
    if len(inner) > 1 and _is_docstring(inner[0]):
        return inner[1].start_byte, last, "body"
    above = node.prev_named_sibling
    if above is not None and above.type == "comment":
        return inner[0].start_byte, last, "body"
    return None


def _is_docstring(node: Node) -> bool:
    return node.type in _DOCSTRINGS and (
        node.type == "string" or (node.child_count == 1 and node.children[0].type == "string")
    )


def _below_comment(source: SourceText, node: Node, limit: int) -> tuple[int, int, str] | None:
    line = source.line_at(node.end_byte - 1)
    if source.content_start(source.line_at(node.start_byte)) != node.start_byte:
        return None  # a comment after code
    first = last = line + 1
    if first >= source.lines or source.content_start(first) == source.content_end(first):
        return None
    width = node.start_point.column
    while last < source.lines and source.content_end(last) > source.starts[last]:
        if source.content_start(last) - source.starts[last] < width:
            break
        last += 1
    start = source.content_start(first)
    end = source.content_end(last - 1) if last > first else start
    if end > limit or end <= start or source.data[start : start + 1] in (b"#", b"/", b"*"):
        return None
    return start, end, "described"


def _with_indentation(source: SourceText, start: int, rng: random.Random) -> int:
    """Move the start of a hole at the first character of its line before the indentation, half of
    the time."""
    line = source.line_at(start)
    at_text = source.content_start(line) == start
    return source.starts[line] if at_text and rng.random() < INDENTATION_SHARE else start


def _trailing(source: SourceText, node: Node) -> int:
    """The number of bytes of white space at a node's end (some grammars include the newline)."""
    text = source.data[node.start_byte : node.end_byte]
    return len(text) - len(text.rstrip())


def _span(
    source: SourceText,
    start: int,
    end: int,
    kind: str,
    least: int = MIN_TOKENS,
    most: int = MAX_BLOCK_TOKENS,
) -> Span | None:
    if start >= end or not is_worth_completing(source.text(start, end), least, most):
        return None
    return Span(start, end, kind)
