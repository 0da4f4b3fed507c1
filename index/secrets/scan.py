"""Finds text that looks like a secret, with one policy for the index, for training and for
completion. The result depends on the text and its language only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from git_copilot.index.secrets import false_positives
from git_copilot.index.secrets.assignments import Span, named_values
from git_copilot.index.secrets.blocks import BLOCK_LINES, block_values, manifest_values
from git_copilot.index.secrets.contexts import context_values, known_tokens
from git_copilot.index.secrets.detectors import (
    CONFIGURATION,
    ENTROPIES,
    PRIVATE_KEY,
    QUOTED,
    assignment_styles,
    detectors,
    is_allowlisted,
    passes_filters,
)
from git_copilot.index.secrets.names import NameSpan, secret_names
from git_copilot.index.secrets.prefilter import (
    MANIFESTS,
    NAMED,
    OURS,
    PLACES,
    TOKENS,
    triggered_lines,
)
from git_copilot.index.text.classify import language_of, long_lines, without_lines

PRAGMA = "pragma: allowlist secret"
# In a line of minified code, names and entropy mean nothing, and checking them takes long.
MAX_LINE = 2000
_NOISY = frozenset({"KeywordDetector", PLACES, *ENTROPIES})
# The keyword detector backtracks over long words with many of its names, which nobody writes.
_LONG_WORD, _NAME, MAX_NAMES = (
    re.compile(r"\w{300}"),
    re.compile("secret|pass|pwd|key", re.IGNORECASE),
    8,
)
MAX_KEY_LINES = 200
# An unquoted value that fills the rest of a line of configuration.
_VALUE = re.compile(
    r"^([ \t]*(?:export[ \t]+|-[ \t]+)?[\"']?[\w.-]+[\"']?[ \t]*[:=][ \t]*)([\w+/=-]{20,})"
    r"(?=[ \t\r]*(?:#.*)?$)",
    re.MULTILINE | re.ASCII,
)
_KEY_MARKS = (b"PRIVATE KEY", b"PuTTY-User-Key-File")
_KEY_BEGIN = re.compile("BEGIN [A-Z0-9 ]{0,64}PRIVATE KEY|PuTTY-User-Key-File")
_KEY_END = re.compile(r"END [A-Z0-9 ]{0,64}PRIVATE KEY|Private-MAC:")
_KEY_MARGIN = r"[\s\"'`#*>|,;()]*+"
# A line of a key in a file or in a string: base64, a header, or empty.
_KEY_LINE = re.compile(rf"{_KEY_MARGIN}(?:[\w-]+: .*|[A-Za-z0-9+/=\\]*+{_KEY_MARGIN}[+\\]?)$")
# The same if the key has no end line: a word of code must not match.
_KEY_BODY = re.compile(rf"{_KEY_MARGIN}[A-Za-z0-9+/=\\]{{16,}}+{_KEY_MARGIN}[+\\]?$")
# Characters that may follow a token whose pattern has a fixed length.
_TOKEN_END = re.compile(r"[\w+/=.-]*", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class SecretFinding:
    """Text on a line (1-based) that looks like a secret; ``start`` and ``end`` are its characters
    in the line, 0-based and half open; ``kind`` is detect-secrets' name for it."""

    line: int
    start: int
    end: int
    kind: str


def find_secrets(text: str, path: str = "", *, language: str | None = None) -> list[SecretFinding]:
    """Everything in ``text`` that looks like a secret, in order.

    Lines end at ``\\n``. A private key is found with every line of its body. A line with the
    comment :data:`PRAGMA`, or below its next-line form, is ignored.

    :param path: determines the language; without one, passwords must be quoted.
    :param language: overrides ``path``; a name from
        :func:`~git_copilot.index.text.classify.language_of`.
    :raises CopilotError: detect-secrets is not installed but needed.
    """
    ways = assignment_styles(language_of(path) if language is None and path else language)
    wanted = triggered_lines(text)
    values = set(_named_values(text)) if ways == CONFIGURATION else set()
    if not wanted and not values:
        return []
    lines = text.split("\n")
    found: set[SecretFinding] = set()
    for number in wanted.keys() | values:
        line = lines[number - 1].rstrip()
        triggered = wanted.get(number, set())
        named = secret_names(line) if NAMED in triggered and len(line) <= MAX_LINE else []
        if named or MANIFESTS in triggered:
            found.update(_elsewhere(lines, number, named, triggered, config=ways == CONFIGURATION))
        if _allowed_at(lines, number):
            continue
        spans = _examine(line, ways, triggered, named)
        if number in values:
            spans |= _examine_value(line)
        found.update(SecretFinding(number, *span) for span in spans)
    for begin in sorted(f.line for f in found if f.kind == PRIVATE_KEY):
        found.update(_key_body(lines, begin))
    return sorted(found)


def secret_lines(text: str, path: str = "", *, language: str | None = None) -> frozenset[int]:
    """The lines (1-based) of ``text`` with something that looks like a secret.

    Parameters and errors as for :func:`find_secrets`.
    """
    return frozenset(f.line for f in find_secrets(text, path, language=language))


@dataclass(frozen=True, slots=True)
class HiddenLines:
    """The lines (1-based) of a file that chunks must leave out: lines that look like secrets, and
    lines that are too long to be hand-written. ``secrets`` is the number of the former, ``allowed``
    the number of allowed lines, which are not included."""

    all: frozenset[int]
    secrets: int
    allowed: int


def hidden_lines(content: bytes, language: str, allowed: Container[str] = ()) -> HiddenLines:
    """Judge the lines of a file.

    :param content: UTF-8.
    :param allowed: fingerprints of allowed lines.
    """
    long = long_lines(content)
    text = without_lines(content, long).decode("utf-8", "replace")
    found = secret_lines(text, language=language)
    kept = without_allowed(text, found, allowed)
    return HiddenLines(kept | long, len(kept), len(found) - len(kept))


def fingerprint(line: str) -> str:
    """Identifies an allowed line (:mod:`.allowed_lines`): a hash of its stripped text, 32
    hexadecimal digits."""
    return hashlib.blake2b(line.strip().encode("utf-8", "replace"), digest_size=16).hexdigest()


def without_allowed(text: str, lines: Iterable[int], allowed: Container[str]) -> frozenset[int]:
    """Those of ``lines`` (1-based) of ``text`` whose fingerprints are not among ``allowed``."""
    found = frozenset(lines)
    if not found or not allowed:
        return found
    texts = text.split("\n")
    return frozenset(n for n in found if fingerprint(texts[n - 1]) not in allowed)


def touches_secret(
    data: bytes, start: int, end: int, language: str, allowed: Container[str] = ()
) -> bool:
    """Whether a line that overlaps bytes ``[start, end)`` looks like a secret: the same answer as
    :func:`secret_lines` for the whole file, without scanning all of it."""
    # For private keys and in configuration, lines far above matter.
    if assignment_styles(language) == CONFIGURATION or any(mark in data for mark in _KEY_MARKS):
        first = data.count(b"\n", 0, start) + 1
        lines = range(first, first + data.count(b"\n", start, end) + 1)
        whole = data.decode("utf-8", "replace")
        found = secret_lines(whole, language=language)
        return not without_allowed(whole, found, allowed).isdisjoint(lines)
    first = above = data.rfind(b"\n", 0, start) + 1
    for _ in range(BLOCK_LINES + 2):
        above = data.rfind(b"\n", 0, max(above - 1, 0)) + 1
    last = data.find(b"\n", end)
    if last >= 0:  # the name of a value may be below it
        last = data.find(b"\n", last + 1)
    last = last if last >= 0 else len(data)
    text = data[above:last].decode("utf-8", "replace")
    before = data.count(b"\n", above, first)
    lines = range(before + 1, before + 2 + data.count(b"\n", start, end))
    found = secret_lines(text, language=language)
    return not without_allowed(text, found, allowed).isdisjoint(lines)


def context_above(text: str) -> list[str]:
    """The lines of ``text`` before the last one that may affect whether that is a secret: a few, or
    all since the start of a private key."""
    lines = text.rsplit("\n", MAX_KEY_LINES + 1)[-MAX_KEY_LINES - 1 : -1]
    begun = [i for i, line in enumerate(lines) if _KEY_BEGIN.search(line)]
    return lines[max(0, min(begun[-1], len(lines) - BLOCK_LINES)) if begun else -BLOCK_LINES :]


def _allowed_at(lines: Sequence[str], number: int) -> bool:
    return is_allowlisted(lines[number - 1].rstrip(), lines[number - 2] if number > 1 else "")


def _elsewhere(
    lines: Sequence[str],
    number: int,
    named: Sequence[NameSpan],
    triggered: set[str],
    *,
    config: bool,
) -> Iterator[SecretFinding]:
    """Findings on other lines that depend on this line."""
    spans = block_values(lines, number - 1, named, config)
    if MANIFESTS in triggered and config:
        spans = chain(spans, manifest_values(lines))
    for index, span in spans:
        if not _allowed_at(lines, index + 1):
            yield SecretFinding(index + 1, *span)


def _examine(
    line: str, ways: tuple[str, ...], wanted: set[str], named: Sequence[NameSpan]
) -> set[Span]:
    """Spans and kinds of what the ``wanted`` detectors find in a line."""
    found: set[Span] = set()
    config = ways == CONFIGURATION
    if len(line) > MAX_LINE:
        wanted = wanted - _NOISY
    elif _LONG_WORD.search(line) and len(_NAME.findall(line)) > MAX_NAMES:
        wanted = wanted - {"KeywordDetector"}
    if named:
        found.update(named_values(line, named, config))
    if PLACES in wanted:
        found.update(context_values(line, config))
    for name in wanted - OURS:
        detector = detectors()[name]
        for secret in {secret for way in ways for secret in detector.find(line, way)}:
            if secret and passes_filters(secret, line, detector.plugin):
                for match in re.finditer(re.escape(secret), line):
                    end = _TOKEN_END.match(line, match.end())
                    assert end is not None
                    found.add((match.start(), end.end(), detector.kind))
    if TOKENS in wanted:  # last, since a detector for the vendor gives a better name
        found.update(
            token
            for token in known_tokens(line)
            if not any(start <= token[0] and token[1] <= end for start, end, _ in found)
        )
    return found


def _named_values(text: str) -> Iterator[int]:
    """Lines (1-based) of configuration that assign an unquoted value to a secret's name."""
    line, counted = 1, 0
    for match in _VALUE.finditer(text):
        if false_positives.SECRET_NAME.search(match[1]):
            line += text.count("\n", counted, match.start(2))
            counted = match.start(2)
            yield line


def _examine_value(line: str) -> set[tuple[int, int, str]]:
    """Check a configuration line's value with the entropy detectors, in quotes; detect-secrets
    parses the file for that."""
    match = _VALUE.match(line)
    if match is None:
        return set()
    spans = _examine(f'{match[1]}"{match[2]}"', QUOTED, set(ENTROPIES), ())
    return {(start - 1, end - 1, kind) for start, end, kind in spans}


def _key_body(lines: list[str], begin: int) -> Iterator[SecretFinding]:
    """The lines of a private key that begins on line ``begin`` (1-based); detect-secrets finds its
    first line only."""
    last = begin
    for number in range(begin, min(begin + MAX_KEY_LINES, len(lines) + 1)):
        line = lines[number - 1]
        if _KEY_END.search(line):
            last = number
            break
        if number > begin and not _KEY_LINE.match(line):
            break
    if last == begin:  # truncated, or only mentioned
        while last < len(lines) and _KEY_BODY.match(lines[last]):
            last += 1
    for number in range(begin, last + 1):
        yield SecretFinding(number, 0, len(lines[number - 1]), PRIVATE_KEY)
