"""Parses a query for ``git copilot search``: a name, a qualified name, a path, code, or words.
Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from git_copilot.index.core.types import Symbol
from git_copilot.index.search.priors import module_name
from git_copilot.index.text.classify import TEXT, is_test, language_of
from git_copilot.index.text.named_values import NAMED, VALUE_KINDS
from git_copilot.index.text.terms import IDENTIFIER, STOP_WORDS, split_identifier, terms

_QUALIFIED = re.compile(r"[^\W\d][\w$]*(?:(?:\.|::|#|->|\\)[^\W\d][\w$]*)*[?!]?")
_SEPARATOR = re.compile(r"\.|::|#|->|\\")
_PATH = re.compile(r"[\w@.+~-]*(?:/[\w@.+~ -]*)+|[\w@+~-]+(?:\.[\w+-]+)+")
# Keywords that people type before a name when they look for its definition.
_INTRODUCTIONS = frozenset(
    ["class", "def", "func", "fn", "function", "struct", "enum", "trait", "interface", "type", "const", "var", "let", "static", "async", "impl", "module", "macro", "define", "#define", "union", "typedef"]
)  # fmt: skip
# Weight of a part of a compound name, relative to the whole name.
PART_WEIGHT = 0.3

# Factors for matches in tests, prose and data, relative to code.
TEST_PRIOR, PROSE_PRIOR, DATA_PRIOR = 0.7, 0.8, 0.4
_PROSE = frozenset(["md", "rst", "txt", "adoc", "rdoc", "markdown", "org", "tex", "html"])


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A parsed query.

    ``name`` is the identifier if the query is a single name, ``owners`` are its qualifiers,
    outermost first. ``path`` is the query if it may be part of a path. ``code_words`` are the words
    that look like code, ``words`` all words with their weights: whole names and their parts."""

    text: str
    name: str
    owners: tuple[str, ...]
    path: str
    code_words: tuple[str, ...]
    words: dict[str, float]

    @property
    def wants_tests(self) -> bool:
        """Whether the query mentions tests."""
        return any(word in self.words for word in ("test", "tests", "fixture", "fixtures"))


def parse_query(text: str) -> ParsedQuery:
    """Parse a query; any text is valid."""
    stripped = text.strip()
    parts = stripped.split()
    alone = stripped
    while len(parts) > 1 and parts[0].lower() in _INTRODUCTIONS:
        parts = parts[1:]
        alone = " ".join(parts)
    alone = re.sub(r"\(\s*\)?$|[;:,{]$", "", alone).strip()
    name = ""
    owners: tuple[str, ...] = ()
    if _QUALIFIED.fullmatch(alone):
        *before, name = _SEPARATOR.split(alone)
        owners = tuple(before)
    found = IDENTIFIER.findall(stripped)
    return ParsedQuery(
        text=stripped,
        name=name,
        owners=owners,
        path=stripped.removeprefix("./") if _PATH.fullmatch(stripped) else "",
        code_words=tuple(dict.fromkeys(each for each in found if looks_like_code(each))),
        words=_weights(found, name),
    )


def looks_like_code(identifier: str) -> bool:
    """Whether a word is spelt like code: ``snake_case``, ``camelCase``, ``HTTP2``."""
    inner = identifier.strip("_")
    return (
        identifier != inner
        or len(split_identifier(identifier)) > 1
        or (len(inner) > 1 and inner.isupper())
    )


def _weights(identifiers: list[str], name: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for identifier in identifiers:
        whole = identifier.lower()
        for word in terms(identifier):
            # In a query for a name, a part counts less than the whole.
            weight = 1.0 if word == whole or not name else PART_WEIGHT
            weights[word] = max(weight, weights.get(word, 0.0))
    return weights


def file_prior(path: str, *, tests: bool = False) -> float:
    """The factor for matches in a file: lower for tests, prose and data than for code.

    :param tests: whether the query asks for tests.
    """
    prior = TEST_PRIOR if is_test(path) and not tests else 1.0
    if language_of(path) != TEXT:
        return prior
    base = posixpath.basename(path).lower().lstrip(".")
    _, dot, extension = base.rpartition(".")
    return min(prior, PROSE_PRIOR) if not dot or extension in _PROSE else DATA_PRIOR


def definition_rank(query: ParsedQuery, symbol: Symbol, path: str) -> tuple[int, ...]:
    """A sort key for how well a definition matches a typed name, best first: by its qualifiers,
    then the same case, not a test, a definition before a constant, not nested."""
    return (
        _owned(query, symbol, path),
        query.name != symbol.name,
        is_test(path) and not query.wants_tests,
        symbol.kind in VALUE_KINDS and symbol.kind != NAMED,
        symbol.scope.count(".") + bool(symbol.scope),
    )


def _owned(query: ParsedQuery, symbol: Symbol, path: str) -> int:
    """How well the qualifiers match, from 0 (the innermost scope) to 3 (not at all)."""
    if not query.owners:
        return 0
    owner = query.owners[-1].lower()
    scopes = symbol.scope.lower().split(".")
    if scopes[-1] == owner:
        return 0
    # `func (c *Client) Get` and `void Client::get` have the owner in the header; modules are files.
    if owner in scopes or owner in (w.lower() for w in IDENTIFIER.findall(symbol.signature)):
        return 1
    if module_name(path).lower() == owner or owner in path.lower().split("/"):
        return 1 if not symbol.scope else 2
    return 3


def title_similarity(query: ParsedQuery, symbol: Symbol) -> float:
    """The overlap between the words of the query and of a defined name (Dice), from 0 to 1."""
    parts = {part for part in split_identifier(symbol.name) if part not in STOP_WORDS}
    wanted = query.words.keys()
    shared = len(parts & wanted) or (symbol.name.lower() in wanted)
    return 2 * shared / (len(parts) + len(wanted)) if shared else 0.0


def path_rank(fragment: str, path: str) -> tuple[int, int] | tuple[()]:
    """A sort key for how well ``path`` matches a fragment, best first; empty if it does not."""
    wanted, whole = fragment.lower().strip("/"), path.lower()
    if not wanted or wanted not in whole:
        return ()
    stem = whole.partition(".")[0] if "." in posixpath.basename(whole) else whole
    if f"/{whole}".endswith(f"/{wanted}"):
        fit = 0
    elif f"/{stem}".endswith(f"/{wanted}"):
        fit = 1
    elif f"/{wanted}" in f"/{whole}":
        fit = 2
    else:
        fit = 3
    return fit, len(path)
