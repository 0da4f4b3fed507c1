"""Words of source code, for full-text search. Pure."""

from __future__ import annotations

import re
from collections import Counter

IDENTIFIER = re.compile(r"[^\W\d]\w*")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

# Found in almost every chunk of almost every language: they rank nothing and cost time.
STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "as",
        "assert",
        "async",
        "await",
        "be",
        "break",
        "by",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "def",
        "del",
        "do",
        "elif",
        "else",
        "end",
        "except",
        "export",
        "extends",
        "false",
        "final",
        "finally",
        "fn",
        "for",
        "from",
        "func",
        "function",
        "global",
        "if",
        "implements",
        "import",
        "in",
        "int",
        "is",
        "it",
        "lambda",
        "let",
        "new",
        "nil",
        "none",
        "nonlocal",
        "not",
        "null",
        "of",
        "on",
        "or",
        "pass",
        "private",
        "protected",
        "public",
        "raise",
        "return",
        "self",
        "static",
        "str",
        "string",
        "struct",
        "super",
        "switch",
        "then",
        "this",
        "throw",
        "to",
        "true",
        "try",
        "type",
        "use",
        "var",
        "void",
        "while",
        "with",
        "yield",
        "the",
    ]
)
# bm25 gains little from more words than this, and its time grows with each.
MAX_QUERY_TERMS = 32


def split_identifier(identifier: str) -> list[str]:
    """``HTTPServer_name2`` → ``http server name 2``."""
    return [part.lower() for part in _PARTS.findall(identifier)]


def terms(text: str) -> list[str]:
    """The searchable words of ``text``: each identifier whole and, if compound, in parts."""
    found = []
    for identifier in IDENTIFIER.findall(text):
        whole = identifier.lower()
        parts = split_identifier(identifier)
        if whole not in STOP_WORDS:
            found.append(whole)
        if len(parts) > 1:
            found.extend(p for p in parts if len(p) > 1 and p not in STOP_WORDS)
    return found


def query_terms(text: str) -> list[str]:
    """The words to search for, most telling first, at most :data:`MAX_QUERY_TERMS`.

    Words nearer the end of ``text`` (the cursor) win ties of frequency, longer words after that.
    """
    words = terms(text)
    last = {word: position for position, word in enumerate(words)}
    counts = Counter(words)
    ranked = sorted(counts, key=lambda w: (-min(counts[w], 3), -last[w], -len(w), w))
    return ranked[:MAX_QUERY_TERMS]


def fts_query(words: list[str]) -> str:
    """An FTS5 expression that matches any of ``words``."""
    return " OR ".join(f'"{word}"' for word in words)
