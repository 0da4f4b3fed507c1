"""Whether Python code binds a name, in time that grows with the text only. Pure.

One pattern for each way to bind a name would start again at every word of a line and read to its end
each time: a line of 20,000 words takes seconds.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_PARAMETERS = 2000  # characters of a function's parameters
_STATEMENT = re.compile(r"\b(?:import|as|for|def|class|lambda|global|nonlocal|case)\b")
# What stands on the left of an assignment.
_TARGETS = re.compile(r"[ \t]*+[\w, ()*\[\]]*+=(?!=)")


def binds(text: str, name: str) -> bool:
    """Whether Python code may bind ``name`` in some scope: rather too often than too rarely."""
    if name not in text:
        return False
    patterns = _patterns(name)
    return (
        _is_assigned(text, patterns.assigned)
        or _is_bound_in_line(text, patterns)
        or _is_parameter(text, patterns.parameter)
    )


class _Patterns:
    """What is looked for: the ``word``, a line of parameters that it begins, the word before a
    colon or at the end, and a function's head or the word."""

    def __init__(self, name: str) -> None:
        self.word = re.compile(rf"\b{name}\b")
        self.line = re.compile(rf"[ \t]*+\*{{0,2}}{name}[ \t]*+(?:[,:)]|$)")
        self.assigned = re.compile(rf"\b{name}\s*+(:|\Z)")
        self.parameter = re.compile(rf"\bdef \w++\(|\b{name}\b")


_patterns = lru_cache(maxsize=256)(_Patterns)


def _is_assigned(text: str, assigned: re.Pattern[str]) -> bool:
    """``name = ``, ``name: annotation =`` or ``name :=``: in each text between two equals signs,
    the name at the end, or followed by a colon on the last line."""
    parts = text.split("=")
    for number, part in enumerate(parts[:-1]):
        compares = not parts[number + 1] and number + 2 < len(parts)  # another sign follows
        if compares and not part.endswith(":"):
            continue
        last_line = part.rfind("\n")
        if any(not found[1] or found.start(1) > last_line for found in assigned.finditer(part)):
            return True
    return False


def _is_bound_in_line(text: str, patterns: _Patterns) -> bool:
    """Whether the name stands behind a statement that binds names, in an assignment of several,
    or alone on a line of parameters."""
    end = -1
    for found in patterns.word.finditer(text):
        if found.start() < end:
            continue
        begin, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.start())
        end = end if end >= 0 else len(text)
        line = text[begin:end]
        *_, last = patterns.word.finditer(line)
        statement = _STATEMENT.search(line)
        if statement is not None and statement.end() <= last.start():
            return True
        targets = _TARGETS.match(line)
        if targets is not None and found.end() <= begin + targets.end():
            return True
        if patterns.line.match(line):
            return True
    return False


def _is_parameter(text: str, parameter: re.Pattern[str]) -> bool:
    begin = -1
    for found in parameter.finditer(text):
        if found[0].endswith("("):
            begin = found.end()
        elif begin >= 0:
            if found.start() - begin <= MAX_PARAMETERS and text.find(")", begin, found.start()) < 0:
                return True
            begin = -1
    return False
