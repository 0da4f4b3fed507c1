"""Finds the first line of a completion that looks like a secret. Pure."""

from __future__ import annotations

from git_copilot.index.secrets.scan import MAX_LINE, context_above, find_secrets

# Characters that are read of a line, or of the cursor's on each side: more than those of a line that
# counts as written by hand (scan.MAX_LINE), so that a cut line does not become one.
MAX_WIDTH = 2 * MAX_LINE


class SecretLines:
    """The text around one cursor, which affects what looks like a secret."""

    def __init__(self, prefix: str, rest: str, path: str) -> None:
        """:param rest: of the cursor's line."""
        self._line, self._rest = prefix.rpartition("\n")[2][-MAX_WIDTH:], rest[:MAX_WIDTH]
        self._above = [line[:MAX_WIDTH] for line in context_above(prefix)]
        self._path = path

    def first(self, text: str) -> int | None:
        """The offset of the first line of ``text`` that looks like a secret, if the completion
        contributes to it: text that was there before is the user's own."""
        first, newline, more = text.partition("\n")
        begin, end = len(self._line), len(self._line) + len(first)
        seen = "\n".join([*self._above, self._line + first + self._rest]) + newline + more
        for finding in find_secrets(seen, self._path):
            number = finding.line - len(self._above) - 1  # 0: the cursor's line
            if number == 0 and finding.start < end and finding.end > begin:
                return 0
            if number > 0:
                return offset(text.split("\n"), number)
        return None


def offset(lines: list[str], count: int) -> int:
    """The length of the first ``count`` lines, without the last line end."""
    return len("\n".join(lines[:count]))
