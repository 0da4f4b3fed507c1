"""Chooses places at which a person typed, with the text as it was then: see places.py."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
QUOTES = ("'", '"', "`")
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

    def after_keys(self, count: int) -> TypedPlace | None:
        """The place once the first ``count`` characters of a longer word were typed; ``None`` where
        no such word follows."""
        truth = self.full if self.inner is None else self.inner
        if not re.match(rf"[^\W\d]\w{{{count},}}", truth):
            return None
        inner = None if self.inner is None else self.inner[count:]
        typed = self.full[:count]
        return replace(self, prefix=self.prefix + typed, full=self.full[count:], inner=inner)

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
        offered = [cursor for patch in changed for cursor in _cursors_of(repo, patch, rng)]
        rng.shuffle(offered)
        # What is still missing most comes first.
        offered.sort(key=lambda cursor: -missing[cursor.kind] / WEIGHTS[cursor.kind])
        taken: set[tuple[str, int]] = set()
        kinds: set[str] = set()
        for cursor in offered:
            key = (cursor.file.path, cursor.number)
            if len(taken) == PER_COMMIT:
                break
            if missing[cursor.kind] <= 0 or cursor.kind in kinds or key in taken:
                continue
            place = cursor.place(oid, parents[oid], paired=rng.random() < PAIRED)
            if place is not None:
                taken.add(key)
                kinds.add(cursor.kind)
                missing[cursor.kind] -= 1
                found.append(place)
        if len(found) >= count:
            break
    return found[:count]


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    language: str
    lines: list[str]
    before: Parent


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A candidate: the column of line ``number`` (both 0-based); its hunk ends before ``end``."""

    file: _File
    kind: str
    number: int
    column: int
    end: int

    def place(self, commit: str, parent: str, *, paired: bool) -> TypedPlace | None:
        """The place; ``None`` in prose, and where nothing worth asking for was written."""
        file, lines = self.file, self.file.lines
        prefix = "\n".join([*lines[: self.number], lines[self.number][: self.column]])
        behind = "\n".join([lines[self.number][self.column :], *lines[self.number + 1 : self.end]])
        full = "\n".join(behind.split("\n")[:MAX_TRUTH_LINES])
        if self.kind != "nothing" and not re.search(r"\w", full):
            return None
        pairs = OpenPairs(prefix, file.path)
        quoted = pairs.closers[:1] in QUOTES and self.kind not in ("string", "nothing")
        if self.kind != "comment" and (pairs.in_prose or (pairs.closers and quoted)):
            return None
        inner_end = pairs.end(behind) if paired else None
        return TypedPlace(
            commit,
            parent,
            file.path,
            file.language,
            self.kind,
            prefix,
            pairs.closers if inner_end else "",
            file.before.text_behind(self.number + 1),
            full,
            behind[:inner_end].rstrip() if inner_end else None,
        )


def _cursors_of(repo: GitRepository, patch: FilePatch, rng: random.Random) -> Iterator[_Cursor]:
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
    file = _File(patch.path, language, texts[0].split("\n"), Parent.of(texts[1], patch))
    for _, _, first, count in patch.hunks:
        end = min(first - 1 + count, len(file.lines))
        for number in range(first - 1, end):
            for kind, column in _cursors(file.lines, number, end, patch.path, rng):
                yield _Cursor(file, kind, number, column, end)


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
