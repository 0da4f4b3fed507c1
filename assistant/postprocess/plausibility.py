"""What a parser and tables of names know to be wrong with a completion. Pure.

Rules, each with the name by which explanations call it:

- ``syntax``: it adds a syntax error;
- ``open``: it leaves a bracket or a string of its own or of the cursor's line open;
- ``name``: it uses a name that stands neither in the file nor, as far as is known, elsewhere;
- ``repeats``: a line of it repeats the one above or below, or all its lines stand nearby in a row;
- ``key``: it writes a key that the literal around the cursor has already.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

from git_copilot.assistant.postprocess.bindings import binds
from git_copilot.assistant.postprocess.bracket_balance import MAX_LINE, BracketBalance
from git_copilot.assistant.postprocess.pairs import OpenPairs
from git_copilot.assistant.postprocess.repetition import count_alphanumeric
from git_copilot.assistant.postprocess.syntax import INDENTED, Surroundings
from git_copilot.index.text.terms import IDENTIFIER

Known = Callable[[Iterable[str]], set[str]]


@dataclass(frozen=True, slots=True)
class Names:
    """Of some identifiers, those that stand somewhere in the repository, and those of them that it
    defines and a file may import."""

    known: Known = set
    defined: Known = set


ALL_NAMES = Names()
# What stands for a completion where the errors of the file itself are counted.
PLACEHOLDERS = ("", "x", "x:", "pass", "x, x", "x = x")
# A line with fewer letters and digits may repeat another.
MIN_ALPHANUMERIC = 8
NEAR_LINES = 30
_STRING = re.compile(
    r"(?:\b[rRbBuUfFtT]{1,2})?(?:\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|`[^`]*`?)",
    re.DOTALL,
)
_NAME = re.compile(r"(?<!\w)[^\W\d]\w*")
# In languages with braces: a name behind a type or another word.
_DECLARED = re.compile(r"(?<=[\w>\])?*&] )[&*]?(\w+)")
_COMMENT = re.compile(r"(?:#|//)[^\n]*")
_KEY = re.compile(r"\s*([\"'][^\"'\n]+[\"']|\w+)\s*:\s")
_BINDING = re.compile(
    r"(?:\bas|\bfor|\bdef|\bclass|\blambda|\blet|\bconst|\bvar|\bmut|\bfunc|\bfn|\btype|\bimport|,)\s+(\w+)"
    r"|(?<!\w)(\w++)\s*+(?::[^=\n]*+)?+=(?!=)"
)
# Names that are no attributes, keyword arguments or prefixes of strings.
_FREE = re.compile(r"(?<![\w.])([^\W\d]\w*)\b(?!\s*(?:=(?!=)|[\"']))")
STANDARD_NAMES = Path(__file__).with_name("standard_names.txt")
_PYTHON = frozenset(
    [*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self", "cls", "__file__", "__name__"]
)


class Plausibility:
    """The rules at one cursor."""

    def __init__(self, prefix: str, suffix: str, path: str, names: Names = ALL_NAMES) -> None:
        """:param names: what exists besides the file's own names."""
        self._prefix, self._suffix, self._path, self._names = prefix, suffix, path, names
        self._line = prefix.rpartition("\n")[2][-MAX_LINE:]
        self._surroundings = Surroundings(prefix, suffix, path)

    def faults(self, text: str) -> tuple[str, ...]:
        """The rules that ``text`` breaks."""
        rules = {
            "syntax": self._breaks_syntax,
            "open": self._leaves_open,
            "name": self._names_nothing,
            "repeats": self._repeats,
            "key": self._repeats_key,
        }
        return tuple(name for name, breaks in rules.items() if breaks(text))

    @cached_property
    def _balance(self) -> BracketBalance:
        return BracketBalance(self._prefix, self._suffix, self._path)

    @cached_property
    def _pairs(self) -> OpenPairs:
        return OpenPairs(self._prefix, self._path)

    @cached_property
    def _errors_of_file(self) -> int:
        return min(map(self._errors, PLACEHOLDERS))

    def _breaks_syntax(self, text: str) -> bool:
        if not self._surroundings.judged:
            return not self._balance.fits(text)
        found = self._errors(text)
        if not found or found <= self._errors_of_file:
            return False
        # A block that begins here gets its body later.
        if self._surroundings.language in INDENTED and text.rstrip().endswith(":"):
            last = (self._line + text).rpartition("\n")[2]
            indent = last[: len(last) - len(last.lstrip())]
            found = self._errors(f"{text.rstrip()}\n{indent}    pass")
        return found > self._errors_of_file

    def _errors(self, text: str) -> int:
        """Syntax errors with ``text``, and with what is still to be closed."""
        closers = self._balance.missing_closers(text)
        return 0 if closers is None else self._surroundings.errors(text + closers)

    def _leaves_open(self, text: str) -> bool:
        """Whether ``text`` leaves open what it, or the cursor's line, has opened, and what the text
        behind the cursor does not close."""
        if self._balance.missing_closers(text) and not self._pairs.is_closed(text):
            block = text.rstrip().endswith("{") and self._surroundings.language not in INDENTED
            return not (block and self._pairs.is_closed(text.rstrip()[:-1]))
        return self._balance.leaves_open(text) and not self._balance.fits(text)

    def _names_nothing(self, text: str) -> bool:
        return bool(self.unknown_names(text))

    def unknown_names(self, text: str) -> list[str]:
        """The identifiers of ``text`` that are defined nowhere."""
        before = _code(self._line)
        code = _code(self._line + text)[len(before) :]
        if _in_string_or_comment(self._line):
            return []
        begun = len(_without_word(before))
        # A dot before the word says that it is an attribute.
        written = before[max(0, begun - 1) :] + code
        bound = {name for pair in _BINDING.findall(before + code) for name in pair if name}
        if self._surroundings.language != "python":
            bound |= set(_DECLARED.findall(before + code))
        words = [w for w in dict.fromkeys(_NAME.findall(written)) if w not in bound]
        new = [w for w in words if w not in self._around and w not in _PYTHON and len(w) > 1]
        if self._surroundings.language == "python":
            new = [w for w in new if w not in standard_names()]
        found = self._names.known(new) if new else set()
        missing = [w for w in new if w not in found]
        if not missing and self._surroundings.language == "python":
            return self._unbound(written, words)
        return missing

    def _unbound(self, written: str, words: Iterable[str]) -> list[str]:
        """Names that Python would look up and not find, in a module without star imports, and that
        could not be imported from this repository either."""
        file = self._prefix + self._suffix
        if "import *" in file:
            return []
        free = set(_FREE.findall(written)) - _PYTHON
        missing = [word for word in words if word in free and not binds(file, word)]
        defined = self._names.defined(missing) if missing else set()
        return [word for word in missing if word not in defined]

    @cached_property
    def _around(self) -> frozenset[str]:
        return _identifiers(_without_word(self._prefix), self._suffix)

    @cached_property
    def _lines_above(self) -> list[str]:
        return self._prefix.rsplit("\n", NEAR_LINES + 1)[-NEAR_LINES - 1 : -1]

    @cached_property
    def _lines_below(self) -> list[str]:
        return self._suffix.split("\n", NEAR_LINES)[1:NEAR_LINES]

    def _repeats(self, text: str) -> bool:
        written = [x.strip() for x in (self._line + text).split("\n") if x.strip()]
        above = [x.strip() for x in self._lines_above if x.strip()]
        below = [x.strip() for x in self._lines_below if x.strip()]
        neighbours = {*above[-1:], *below[:1]}
        if any(x in neighbours and count_alphanumeric([x]) >= MIN_ALPHANUMERIC for x in written):
            return True
        count = len(written)
        near = [
            "\n".join(lines[i : i + count]) for lines in (above, below) for i in range(len(lines))
        ]
        return count > 1 and "\n".join(written) in near

    def _repeats_key(self, text: str) -> bool:
        found = _KEY.match(self._line + text)
        if found is None or (self._line.strip() and ":" in self._line):
            return False
        depth = len(self._line) - len(self._line.lstrip())
        for lines in (self._lines_above[::-1], self._lines_below):
            for line in lines:
                if line.strip() and len(line) - len(line.lstrip()) < depth:
                    break
                other = _KEY.match(line)
                if other and other[1] == found[1] and len(line) - len(line.lstrip()) == depth:
                    return found[1][0] in "\"'"
        return False


@cache
def standard_names() -> frozenset[str]:
    """Modules of Python's standard library, what they define, and the attributes of its classes."""
    return frozenset(STANDARD_NAMES.read_text("utf-8").split())


@lru_cache(maxsize=4)
def _identifiers(before: str, behind: str) -> frozenset[str]:
    return frozenset(IDENTIFIER.findall(before)) | frozenset(IDENTIFIER.findall(behind))


def _without_word(text: str) -> str:
    """``text`` without the word that it ends with. ``\\w*\\Z`` would be tried at every character."""
    end = len(text)
    while end and (text[end - 1].isalnum() or text[end - 1] == "_"):
        end -= 1
    return text[:end]


def _code(text: str) -> str:
    """``text`` without the contents of strings and comments, character by character."""
    blank = lambda match: " " * len(match[0])
    return _COMMENT.sub(blank, _STRING.sub(blank, text))


def _in_string_or_comment(line: str) -> bool:
    stripped = _STRING.sub(lambda m: m[0] if m[0][-1] not in "\"'`" or len(m[0]) == 1 else "", line)
    return any(mark in stripped for mark in ('"', "'", "`", "#", "//"))
