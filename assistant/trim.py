"""Ends a completion where a person would: named rules, in order. Pure.

The rules run while tokens arrive (to stop early) and once at the end (to cut), so both agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from git_copilot.index.secrets import find_secrets, lines_above

OPENERS, CLOSERS = "([{", ")]}"
# An open bracket may carry a statement over so many lines.
MAX_OPEN_LINES = 10
MAX_REPEATS = 3
# A suffix line shorter than this ("}", "else:") recurs by right.
MIN_SUFFIX_LINE = 4


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The completion that is kept, and the name of the rule that cut it (``None``: none did)."""

    text: str
    rule: str | None


class Trimmer:
    """Knows the place of one completion.

    :param path: of the file; its language says how a secret is written there.
    """

    def __init__(self, prefix: str, suffix: str, max_lines: int = 12, path: str = "") -> None:
        self._line = prefix.rpartition("\n")[2]
        self._path = path
        self._above = lines_above(prefix)
        self._judged = ("", -1)
        self._rest = suffix.partition("\n")[0]
        following = [x for x in suffix.split("\n")[1:] if x.strip()]
        self._next_line = following[0].rstrip() if following else ""
        self._max_lines = max_lines
        stripped = self._line.rstrip()
        # In the middle of a line the line is wanted; after `:` or on a blank line, a block.
        self.block = not self._rest.strip() and (not stripped or stripped.endswith((":", "{")))

    def finished(self, text: str) -> bool:
        """Whether more tokens cannot change what :meth:`trim` returns."""
        return self._cut(text, final=False)[1] is not None

    def trim(self, text: str) -> Trimmed:
        """Apply all rules to a whole completion."""
        cut, rule = self._cut(text, final=True)
        kept = text[:cut]
        if self._rest.strip():
            kept, overlap = self._without_rest(kept)
            rule = rule or overlap
        stripped = kept.rstrip() if self.block or kept.endswith("\n") else kept
        return Trimmed(stripped, rule)

    def _cut(self, text: str, *, final: bool) -> tuple[int, str | None]:
        """Where to cut, by the first rule that fires; only whole lines unless ``final``."""
        rules = (
            (self._after_block, self._repeats_suffix, self._loops, self._secret)
            if self.block
            else (self._after_line, self._repeats_suffix, self._loops, self._secret)
        )
        ends = _line_ends(text, final)
        cuts = [(cut, rule.__name__.strip("_")) for rule in rules if (cut := rule(text, ends)) >= 0]
        return min(cuts) if cuts else (len(text), None)

    def _after_line(self, text: str, ends: list[int]) -> int:
        """The end of the line, or of the last one that an open bracket carries over to."""
        newline = text.find("\n")
        if newline == -1:
            return -1
        if self._rest.strip():
            return newline
        for count, end in enumerate(ends):
            if _open_brackets(self._line + text[:end]) <= 0 or count == MAX_OPEN_LINES:
                return end if end < len(text) else -1
        return -1

    def _after_block(self, text: str, ends: list[int]) -> int:
        """Before the first line outside the block, a blank line after it began, or too many."""
        opener = bool(self._line.strip())
        outer = _indent(self._line) if opener else -1
        base = -1
        start = 0
        for count, end in enumerate(ends):
            line = text[start:end] if start or opener else self._line + text[:end]
            if line.strip():
                indent = _indent(line)
                if base >= 0 and (indent < base or (not opener and self._left(text, start, base))):
                    return start - 1
                if base < 0 and opener and start and indent <= outer:
                    return start - 1
                base = indent if base < 0 and (start or not opener) else base
                if count >= self._max_lines:
                    return start - 1
            elif base >= 0:
                return start - 1 if start else -1
            start = end + 1
        return -1

    @staticmethod
    def _left(text: str, start: int, base: int) -> bool:
        """Whether the line at ``start`` is a new statement after an indented block."""
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else None]
        previous = text[: max(start - 1, 0)].rpartition("\n")[2]
        return (
            _indent(line) == base
            and _indent(previous) > base
            and not line.lstrip().startswith(("el", "except", "finally", "catch", *CLOSERS))
        )

    def _repeats_suffix(self, text: str, ends: list[int]) -> int:
        """Before a line that stands right after the cursor anyway."""
        if len(self._next_line.strip()) < MIN_SUFFIX_LINE:
            return -1
        start = 0
        for end in ends:
            line = text[start:end] if start else self._line + text[:end]
            if line.rstrip() == self._next_line:
                return max(start - 1, 0)
            start = end + 1
        return -1

    def _loops(self, text: str, ends: list[int]) -> int:
        """After the second of three equal lines in a row."""
        start, previous, count = 0, "", 0
        for end in ends:
            line = text[start:end].strip()
            count = count + 1 if line and line == previous else 1
            if count == MAX_REPEATS:
                return start - 1
            previous = line
            start = end + 1
        return -1

    def _secret(self, text: str, ends: list[int]) -> int:
        """Before the first line that looks like a secret, if the completion has a part in that:
        what stood there before is the user's own."""
        whole = text[: ends[-1]] if ends else ""
        if whole != self._judged[0]:
            self._judged = (whole, self._first_secret(whole))
        return self._judged[1]

    def _first_secret(self, text: str) -> int:
        first, newline, more = text.partition("\n")
        begin, end = len(self._line), len(self._line) + len(first)
        seen = "\n".join([*self._above, self._line + first + self._rest]) + newline + more
        for finding in find_secrets(seen, self._path):
            number = finding.line - len(self._above) - 1  # 0: the cursor's line
            if number == 0 and finding.start < end and finding.end > begin:
                return 0
            if number > 0:
                return len("\n".join(text.split("\n")[:number]))
        return -1

    def _without_rest(self, text: str) -> tuple[str, str | None]:
        """Drop an end that repeats the text right of the cursor."""
        rest = self._rest.rstrip()
        for size in range(min(len(text), len(rest)), 0, -1):
            if text.endswith(rest[:size]) and (size == len(rest) or rest[:size].strip()):
                # A lone bracket may belong to the completion: drop it only if it is one too many.
                if size > 1 or _open_brackets(self._line + text + self._rest) < 0:
                    return text[: len(text) - size], "repeats_rest"
                break
        return text, None


def _line_ends(text: str, final: bool) -> list[int]:
    """Offsets of the newlines, and of the end of the text when no more will come."""
    ends = [i for i, c in enumerate(text) if c == "\n"]
    return [*ends, len(text)] if final else ends


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _open_brackets(text: str) -> int:
    """Brackets opened minus closed, strings left out roughly: quotes of one line."""
    depth, quote = 0, ""
    for i, char in enumerate(text):
        if quote:
            if char == "\n" or (char == quote and text[i - 1] != "\\"):
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in OPENERS:
            depth += 1
        elif char in CLOSERS:
            depth -= 1
    return depth
