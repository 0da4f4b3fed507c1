"""Judges what is shown at a place by rule: exact, acceptable, harmful. See places.py."""

from __future__ import annotations

import ast
import builtins
import importlib
import keyword
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from place_kinds import TypedPlace
from rapidfuzz.distance import Levenshtein

from git_copilot.index.text.parsing import parse

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WORD = re.compile(r"[^\W\d]\w*")
_STRING = re.compile(
    r"\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)|\"[^\"\n]*\"?|'[^'\n]*'?|`[^`]*`?", re.DOTALL
)
_COMMENT = re.compile(r"(?:#|//)[^\n]*")
# Edits that leave a proposal acceptable: two tokens or a fifth, and less than half of it.
FEW, SHARE = 2, 5
MIN_ALPHANUMERIC = 8
NEAR_LINES = 30
# Modules whose names an attribute may have without standing anywhere in the repository.
STANDARD = """
abc argparse ast asyncio base64 bisect builtins collections collections.abc contextlib copy
csv dataclasses datetime decimal difflib email enum errno functools gc getpass glob gzip
hashlib heapq hmac html http http.client importlib inspect io itertools json logging math
mimetypes multiprocessing operator os os.path pathlib pickle platform queue random re secrets
select shlex shutil signal socket sqlite3 ssl stat string struct subprocess sys sysconfig
tempfile textwrap threading time tomllib traceback types typing unittest unittest.mock
urllib.parse urllib.request uuid warnings weakref xml.etree.ElementTree zipfile zlib zoneinfo
"""
# Keywords, types and functions that need no definition in other languages.
OTHER_LANGUAGES = """
let const var function async await typeof instanceof undefined null true false this new export
default extends implements readonly string number boolean void never any unknown func nil err
fmt fn mut impl pub use crate self Self Some None Ok Err Vec String Result Option usize u8 u32
u64 i32 i64 str unwrap clone iter collect map len push format println public private protected
static final class interface throws throw int long char byte assertEquals assertTrue
assertFalse assertNull expect toBe toEqual t Errorf Fatalf Fatal test package import range
chan defer go select struct match where dyn ref move loop while
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a place. ``harm`` names the rules that the proposal breaks; ``edits`` are
    tokens."""

    shown: bool
    exact: bool = False
    acceptable: bool = False
    harm: tuple[str, ...] = ()
    edits: int = 0


def judge(place: TypedPlace, answer: str, known: frozenset[str]) -> Verdict:
    """The verdict on ``answer``.

    :param known: every identifier of the repository at the commit's parent.
    """
    if not answer.strip():
        return Verdict(False)
    rest = place.closers
    pairs = list(_variants(place, answer, rest))
    exact = any(mine.rstrip() == true.rstrip() for mine, true in pairs)
    distances = [_distance(mine, true) for mine, true in pairs]
    edits, size = min(distances)
    acceptable = exact or (edits <= max(FEW, size // SHARE) and 2 * edits < size)
    return Verdict(
        True,
        exact,
        acceptable,
        () if acceptable else tuple(_harms(place, answer, rest, known)),
        edits,
    )


def _variants(place: TypedPlace, answer: str, rest: str) -> Iterator[tuple[str, str]]:
    """The proposal beside what was written, over as many lines."""
    count = answer.rstrip().count("\n") + 1
    yield answer + rest, _first_lines(place.full, count)
    if place.inner is not None:
        yield answer, _first_lines(place.inner, count)


def _first_lines(text: str, count: int) -> str:
    return "\n".join(text.split("\n")[:count])


def _distance(mine: str, true: str) -> tuple[int, int]:
    one, other = _TOKEN.findall(mine), _TOKEN.findall(true)
    return Levenshtein.distance(one, other), max(len(one), len(other))


def _harms(place: TypedPlace, answer: str, rest: str, known: frozenset[str]) -> Iterator[str]:
    count = answer.rstrip().count("\n") + 1
    truths = [_first_lines(place.full, count), place.full]
    if place.inner is not None:
        truths.append(place.inner + place.closers)
    least = max(_errors(place, truth) for truth in truths)
    if _errors(place, answer + rest) > least:
        yield "syntax"
    if _names_nothing(place, answer, rest, known):
        yield "name"
    if _repeats(place, answer, truths[0]):
        yield "repeats"


def _errors(place: TypedPlace, middle: str) -> int:
    text = place.prefix + middle + place.below
    root = parse(text.encode(), place.language)
    count, pending = 0, [] if root is None else [root]
    while pending:
        node = pending.pop()
        count += node.is_error or node.is_missing
        if node.has_error:
            pending.extend(node.children)
    return count or int(place.language == "python" and tree_of(text) is None)


@lru_cache(maxsize=8)
def tree_of(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def identifiers(text: str) -> set[str]:
    return set(_WORD.findall(text))


def _names_nothing(place: TypedPlace, answer: str, rest: str, known: frozenset[str]) -> list[str]:
    """Identifiers of the proposal that are defined nowhere."""
    if place.kind in ("comment", "string", "end of file") and "\n" not in answer:
        return []
    line = place.prefix.rpartition("\n")[2]
    code = _COMMENT.sub("", _STRING.sub('""', line + answer))[
        len(_COMMENT.sub("", _STRING.sub('""', line))) :
    ]
    around = identifiers(place.prefix[-1:] and place.prefix + place.below)
    begun = re.search(r"\w*\Z", line)
    first = (begun[0] if begun else "") + code
    new = [
        w
        for w in _WORD.findall(first)
        if w not in around and w not in known and w not in _standard()
    ]
    if not new:
        return _unbound(place, answer, rest)
    bound = set(
        re.findall(
            r"(?:\bas|\bfor|\bdef|\bclass|\blet|\bconst|\bvar|\bmut|\bfunc|\bfn|,)\s+(\w+)", first
        )
    )
    bound |= set(re.findall(r"(\w+)(?:\s*:\s*[\w\[\], .|]+)?\s*(?::?=)(?!=)", first))
    bound |= set(re.findall(r"lambda (\w+)", first))
    if place.kind in ("body", "annotation") or re.match(r"\s*(?:async )?def ", line):
        bound |= set(re.findall(r"(\w+)\s*[:,)]", first))
    return [w for w in new if w not in bound]


def _unbound(place: TypedPlace, answer: str, rest: str) -> list[str]:
    """Names of the proposal that Python would not find."""
    text = place.prefix + answer + rest + place.below
    tree = tree_of(text) if place.language == "python" else None
    if tree is None:
        return []
    bound = set(dir(builtins)) | {"__file__", "__name__", "__doc__", "__path__", "__spec__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
            if node.name == "*":
                return []
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    first, last = place.line, place.line + answer.count("\n")
    wanted = identifiers(place.prefix.rpartition("\n")[2] + answer)
    before = identifiers(place.prefix.rpartition("\n")[2])
    return [
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        and first <= node.lineno <= last and node.id in wanted - before and node.id not in bound
    ]  # fmt: skip


@lru_cache(maxsize=1)
def _standard() -> frozenset[str]:
    names = set(dir(builtins)) | set(keyword.kwlist) | set(keyword.softkwlist)
    for name in STANDARD.split():
        module = importlib.import_module(name)
        names |= set(name.split("."))
        for each in dir(module):
            names.add(each)
            names |= set(dir(getattr(module, each, None)))
    return frozenset(names | set(OTHER_LANGUAGES.split()))


def _repeats(place: TypedPlace, answer: str, truth: str) -> bool:
    """Whether a whole line repeats its neighbour, or all its lines stand nearby in a row."""
    stem = place.prefix.rpartition("\n")[2]
    written = [x.strip() for x in (stem + answer).split("\n") if x.strip()]
    wanted = {x.strip() for x in (stem + truth).split("\n")}
    above = [x.strip() for x in place.prefix.split("\n")[-NEAR_LINES - 1 : -1] if x.strip()]
    below = [x.strip() for x in place.below.split("\n")[1:NEAR_LINES] if x.strip()]
    for line in written:
        plain = sum(char.isalnum() for char in line) >= MIN_ALPHANUMERIC
        if plain and line not in wanted and line in (*above[-1:], *below[:1]):
            return True
    count = len(written)
    near = ["\n".join(lines[i : i + count]) for lines in (above, below) for i in range(len(lines))]
    return count > 1 and not set(written) <= wanted and "\n".join(written) in near
