"""Chooses places at which a person typed, with the text as it was then: see places.py."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from git_copilot.assistant.dataset.typed_form import Parent
from git_copilot.assistant.postprocess.pairs import OpenPairs
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.git.history import FilePatch, list_commits, patches
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.text.classify import language_of

# Kinds of places with their weights: what people meet most is asked most.
WEIGHTS = {
    "statement": 60, "next line": 50, "call": 40, "attribute": 30, "argument": 30, "body": 25,
    "test body": 25, "condition": 20, "string": 18, "comment": 15, "import": 15, "annotation": 12,
    "dict entry": 12, "after docstring": 12, "loop": 10, "end of file": 8, "decorator": 6,
    "except": 6, "nothing": 20,
}  # fmt: skip
# The share of places at which an editor has closed the open pairs.
PAIRED = 0.8
COMMITS, PER_COMMIT, MAX_FILES = 1500, 4, 30
MAX_TRUTH_LINES = 20
MAX_BYTES = 200_000
LANGUAGES = ("python", "typescript", "tsx", "javascript", "go", "rust", "java")
_HEADER = re.compile(
    r"\s*(?:(?:export|default|public|private|protected|static|async|pub|final|override)\s+)*"
    r"(?:def|class|function|func|fn|impl|struct|interface|enum)\b"
)
_IN_LINE = {
    "import": r"^\s*from \S+ import (?=\w)|^\s*(?:import|use) (?=\w)|^import \{ (?=\w)",
    "decorator": r"^\s*@(?=\w)",
    "except": r"^\s*except (?=\w)|\bcatch \((?=\w)",
    "loop": r"^\s*(?:async )?for (?=\w)|^\s*for \((?=\w)",
    "condition": r"^\s*(?:if|elif|while|} else if|else if) \(?(?=\S)",
    "annotation": r"^\s*(?:async )?def .*(?:\w: | -> )(?=\w)|^\s*self\.\w+: (?=\w)",
    "comment": r"^\s*(?:#|//) \w+ (?:\w+ )?(?=\w)",
    "string": r"[\"'](?=[\w/ .-]{3,}[\"'])",
    "attribute": r"(?<=\w)\.(?=[a-z_])",
    "call": r"(?<=\w)\((?=[^)\s])",
    "argument": r"\(.*, (?=[^)\s])",
    "statement": r"(?:\breturn | = |\bawait |\bassert |\braise |\byield | in | and | or )(?=\S)",
}


@dataclass(frozen=True, slots=True)
class TypedPlace:
    """A cursor as its author had it: ``prefix``, ``closers`` right of the cursor, ``below`` the
    parent's text. ``full`` is what was written from the cursor to the end of the hunk, ``inner``
    what was written between the pair, if there are closers."""

    commit: str
    parent: str
    path: str
    language: str
    kind: str
    prefix: str
    closers: str
    below: str
    full: str
    inner: str | None

    @property
    def text(self) -> str:
        """The buffer."""
        return self.prefix + self.closers + self.below

    @property
    def line(self) -> int:
        return self.prefix.count("\n") + 1

    @property
    def column(self) -> int:
        return len(self.prefix.rpartition("\n")[2]) + 1


def choose_places(repo: GitRepository, count: int, seed: int) -> list[TypedPlace]:
    """The newest ``count`` places in the proportions of :data:`WEIGHTS`, newest commit first."""
    total = sum(WEIGHTS.values())
    missing = Counter({kind: max(1, round(w * count / total)) for kind, w in WEIGHTS.items()})
    tip = repo.head_commit()
    commits = (
        [c for c in list_commits(repo, tip, limit=COMMITS) if len(c.parents) == 1] if tip else []
    )
    parents = {c.oid: c.parents[0] for c in commits}
    found: list[TypedPlace] = []
    for oid, changed in patches(repo, [c.oid for c in commits], "-M"):
        if not changed or len(changed) > MAX_FILES:
            continue
        rng = seeded_random("places", str(seed), oid)
        offered = [p for patch in changed for p in _places(repo, patch, oid, parents[oid], rng)]
        rng.shuffle(offered)
        # What is rare, or still missing most, comes first.
        offered.sort(key=lambda p: -missing[p.kind] / WEIGHTS[p.kind])
        taken: set[tuple[str, int]] = set()
        kinds: set[str] = set()
        for place in offered:
            key = (place.path, place.line)
            if len(taken) < PER_COMMIT and missing[place.kind] > 0 and place.kind not in kinds:
                if key in taken:
                    continue
                taken.add(key)
                kinds.add(place.kind)
                missing[place.kind] -= 1
                found.append(place)
        if len(found) >= count:
            break
    return found[:count]


def _places(
    repo: GitRepository, patch: FilePatch, commit: str, parent: str, rng: random.Random
) -> Iterator[TypedPlace]:
    """Candidates of one file, at most one for each kind and line."""
    language = language_of(patch.path)
    if language not in LANGUAGES or patch.deleted or patch.opaque or not patch.hunks:
        return
    texts = []
    for oid in (patch.blob, "" if patch.created else patch.old_blob):
        data = repo.read_blob(oid) if oid else b""
        if len(data) > MAX_BYTES or b"\0" in data:
            return
        try:
            texts.append(data.decode("utf-8").replace("\r\n", "\n"))
        except UnicodeDecodeError:
            return
    before = Parent.of(texts[1], patch)
    lines = texts[0].split("\n")
    for _, _, first, count in patch.hunks:
        end = min(first - 1 + count, len(lines))
        for number in range(first - 1, end):
            for kind, column in _cursors(lines, number, end, patch.path, rng):
                paired = rng.random() < PAIRED
                at = "\n".join([*lines[:number], lines[number][:column]])
                pairs = OpenPairs(at, patch.path)
                in_string = kind not in ("string", "nothing") and pairs.closers[:1] in (
                    "'",
                    '"',
                    "`",
                )
                if kind != "comment" and (pairs.in_prose or (in_string and pairs.closers)):
                    continue
                place = _place(lines, number, column, end, patch.path, paired, before)
                prefix, closers, below, full, inner = place
                if kind != "nothing" and not (full.strip() and re.search(r"\w", full)):
                    continue
                yield TypedPlace(
                    commit, parent, patch.path, language, kind, prefix, closers, below, full, inner
                )


def _place(
    lines: Sequence[str], number: int, column: int, end: int, path: str, paired: bool,
    before: Parent,
) -> tuple[str, str, str, str, str | None]:  # fmt: skip
    prefix = "\n".join([*lines[:number], lines[number][:column]])
    behind = "\n".join([lines[number][column:], *lines[number + 1 : end]])
    full = "\n".join(behind.split("\n")[:MAX_TRUTH_LINES])
    below, pairs = before.text_behind(number + 1), OpenPairs(prefix, path)
    inner_end = pairs.end(behind) if paired else None
    if inner_end:
        return prefix, pairs.closers, below, full, behind[:inner_end].rstrip()
    return prefix, "", below, full, None


def _cursors(
    lines: Sequence[str], number: int, end: int, path: str, rng: random.Random
) -> Iterator[tuple[str, int]]:
    """Kinds and columns (0-based) at which the line may be asked for."""
    line = lines[number]
    if not line.strip():
        return
    indent = len(line) - len(line.lstrip())
    comment = line.lstrip().startswith(("#", "//", "*", "/*"))
    for kind, pattern in _IN_LINE.items():
        if comment and kind != "comment":
            continue
        ends = [match.end() for match in re.finditer(pattern, line)]
        if ends:
            yield kind, rng.choice(ends)
    if number == end - 1 and not comment and not line.rstrip().endswith((":", "{", ",", "(", "[")):
        yield "nothing", len(line)
    above = next((x for x in reversed(lines[:number]) if x.strip()), "")
    if indent == 0 or comment or line.strip() in "})];":
        return
    if not any(x.strip() for x in lines[end:]) and number >= end - 3:
        yield "end of file", indent
    header = _HEADER.match(above) is not None and above.rstrip().endswith((":", "{"))
    if above.rstrip().endswith(('"""', "*/")) and lines[number - 1].strip() and not header:
        yield "after docstring", indent
    elif header:
        yield "body", indent
    elif re.match(r"\s*[\"'][\w-]+[\"']: ", line):
        yield "dict entry", indent
    elif _in_test(lines, number, path):
        yield "test body", indent
    else:
        yield "next line", indent


def _in_test(lines: Sequence[str], number: int, path: str) -> bool:
    if "test" not in path.lower():
        return False
    indent = len(lines[number]) - len(lines[number].lstrip())
    for line in reversed(lines[max(0, number - 60) : number]):
        if line.strip() and len(line) - len(line.lstrip()) < indent and _HEADER.match(line):
            return "test" in line.lower()
    return False
