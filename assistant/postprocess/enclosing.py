"""The functions and classes around a cursor, and completions that repeat or leave them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Lines above the cursor that are searched for headers.
MAX_LINES = 400
_HEADER = re.compile(
    r"\s*(?:(?:export|default|public|private|protected|static|async|pub)\s+)*"
    r"(?:def|class|function|func|fn)\b"
)
_DOCSTRING = re.compile(r"[rRuU]?(\"\"\"|''')")
_CODE_END = re.compile(r":\s*(?:#[^\n]*)?\n")


class EnclosingDefinitions:
    """The definitions whose bodies contain the cursor, by indentation, the nearest first."""

    def __init__(self, prefix: str, *, needs_body: bool) -> None:
        """:param needs_body: the language requires a statement in every definition."""
        *above, self._line = prefix.rsplit("\n", MAX_LINES)[-MAX_LINES:]
        self._headers: list[str] = []
        self._body_missing = False
        depth = _indent(self._line) if self._line.strip() else 1 << 30
        for number in range(len(above) - 1, -1, -1):
            line = above[number]
            if not line.strip() or _indent(line) >= depth:
                continue
            depth = _indent(line)
            if _HEADER.match(line):
                if needs_body and not self._headers:
                    self._body_missing = _has_no_body("\n".join([*above[number:], ""]), self._line)
                self._headers.append(line.rstrip())

    def left_rule(self, lines: Sequence[str]) -> str | None:
        """The rule that ends a completion before its last line: the line repeats one of the headers
        (``"redefines"``), or leaves a body without a statement (``"leaves_block"``)."""
        number = len(lines) - 1
        last = (lines[number] if number else self._line + lines[0]).rstrip()
        if not self._headers or not last:
            return None
        # The rest of the cursor's line has no indentation of its own.
        written = [x for x in lines[self._line.strip() != "" : number] if x.strip()]
        lowest = min(map(_indent, written), default=1 << 30)
        # After a line indented less than a header another class may have begun, and reuse the name.
        if any(last == header and _indent(header) <= lowest for header in self._headers):
            return "redefines"
        outside = self._body_missing and not written and _indent(last) <= _indent(self._headers[0])
        return "leaves_block" if outside else None


def _has_no_body(body: str, line: str) -> bool:
    """Whether a definition, from its header to the cursor's line, has no statement yet."""
    header = _CODE_END.search(body)
    if header is None or line.strip():
        return False
    text = body[header.end() :].strip()
    found = _DOCSTRING.match(text)
    return not text or (
        found is not None and text.find(found[1], found.end()) == len(text) - len(found[1])
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
