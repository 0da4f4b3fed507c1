"""Reads the command lines that a server answers, without click and its import time.

Whatever is not certain here is left to the full command line, which also says what is wrong.
Standard library only.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing takes a millisecond or two
if TYPE_CHECKING:
    from typing import Any

# Bounds as the commands have them (tests compare).
MAX_TOKENS, MAX_CANDIDATES, MAX_HITS, MAX_LENGTH = 2048, 16, 100, 1_000_000
PARTIAL = "partial"
OUTCOMES = ("accepted", PARTIAL, "edited", "rejected")
_FLAGS = {
    "complete": {"--stdin", "--json", "--no-retrieval"},
    "search": {"--json"},
    "feedback": {"--json"},
}
_VALUES = {
    "complete": {"--max-tokens", "--adapter", "--model", "--at", "-n"},
    "search": {"-n"},
    "feedback": {"--final", "--length"},
}


class ServedCommand:
    """A command that a server may answer: its name, the JSON of its request without the text of
    standard input, and the options that concern this process alone."""

    def __init__(
        self, name: str, request: dict[str, Any], *, as_json: bool, stdin_field: str | None
    ) -> None:
        """:param stdin_field: of the request, which standard input goes into."""
        self.name, self.request = name, request
        self.as_json, self.stdin_field = as_json, stdin_field


def read_command(argv: list[str], cwd: str) -> ServedCommand | None:
    """The request of a command line, or ``None``: let the full command line look at it."""
    name = argv[0] if argv else ""
    split = _split(name, argv[1:]) if name in _FLAGS else None
    if split is None:
        return None
    words, flags, values = split
    if name == "complete":
        return _complete(words, flags, values, cwd)
    if name == "search":
        return _search(words, flags, values, cwd)
    return _feedback(words, flags, values, cwd)


def _split(name: str, argv: list[str]) -> tuple[list[str], set[str], dict[str, str]] | None:
    """Words, flags and options with values of a command line."""
    words: list[str] = []
    flags: set[str] = set()
    values: dict[str, str] = {}
    rest = iter(argv)
    for word in rest:
        option, equals, value = word.partition("=")
        if word == "--":
            words += rest
        elif word[:1] != "-" or word == "-":
            words.append(word)
        elif word in _FLAGS[name]:
            flags.add(word)
        elif option in _VALUES[name] and (not equals or option[:2] == "--"):
            given = value if equals else next(rest, None)
            if given is None:
                return None
            values[option] = given
        else:
            return None
    return words, flags, values


def _number(text: str | None, most: int) -> int | None:
    """A number that every reader understands alike; raises ValueError for others."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise ValueError
    return int(text)


def _complete(
    words: list[str], flags: set[str], values: dict[str, str], cwd: str
) -> ServedCommand | None:
    try:
        count = _number(values.get("-n"), MAX_CANDIDATES)
        max_tokens = _number(values.get("--max-tokens"), MAX_TOKENS)
    except ValueError:
        return None
    if len(words) != 1:
        return None
    request = {
        "location": words[0],
        "cwd": cwd,
        "max_tokens": max_tokens,
        "retrieval": "--no-retrieval" not in flags,
        "adapter": values.get("--adapter"),
        "model": values.get("--model"),
        "at": values.get("--at"),
        "count": count,
    }
    stdin = "text" if "--stdin" in flags else None
    return ServedCommand("complete", request, as_json="--json" in flags, stdin_field=stdin)


def _search(
    words: list[str], flags: set[str], values: dict[str, str], cwd: str
) -> ServedCommand | None:
    try:
        count = _number(values.get("-n"), MAX_HITS)
    except ValueError:
        return None
    query = " ".join(words).encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not query:
        return None
    as_json = "--json" in flags
    request = {"query": query, "cwd": cwd, "count": count, "texts": not as_json}
    return ServedCommand("search", request, as_json=as_json, stdin_field=None)


def _feedback(
    words: list[str], flags: set[str], values: dict[str, str], cwd: str
) -> ServedCommand | None:
    try:
        length = _number(values.get("--length"), MAX_LENGTH)
    except ValueError:
        return None
    if len(words) != 2 or words[1] not in OUTCOMES or (length is None) == (words[1] == PARTIAL):
        return None
    final = values.get("--final")
    request = {
        "id": words[0], "outcome": words[1], "cwd": cwd, "final": final, "accepted_length": length,
    }  # fmt: skip
    stdin = "final" if final == "-" else None
    return ServedCommand("feedback", request, as_json="--json" in flags, stdin_field=stdin)


def read_stdin(command: ServedCommand) -> bytes | None:
    """Read standard input into the request, if the command takes its text from there."""
    if command.stdin_field is None:
        return None
    data = sys.stdin.buffer.read()
    # A buffer is bytes of any encoding, one character for each; a reported text is UTF-8.
    buffer = command.stdin_field == "text"
    text = data.decode("latin-1") if buffer else data.decode("utf-8", "replace")
    command.request[command.stdin_field] = text
    return data
