"""Single holes for a person to look at, with secrets masked."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from git_copilot.assistant.dataset.hole_selection import find_holes, hole_weights
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Hole
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.secrets.redaction import redact_bytes
from git_copilot.index.store.allowed_lines import Allowed, load
from git_copilot.index.store.database import Database

CONTEXT_LINES = 3
BATCH = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """A hole for display: its first line (1-based), up to :data:`CONTEXT_LINES` whole lines and
    the rest of a line on each side, the middle, and its training weight with the reason. Line ends
    are ``\\n``; secrets are masked."""

    hole: Hole
    line: int
    before: str
    middle: str
    after: str
    weight: float
    why: str

    def fields(self) -> dict[str, Any]:
        """The sample as JSON."""
        hole = self.hole
        return {
            "id": hole.id,
            "path": readable(hole.path),
            "line": self.line,
            "commit": hole.commit,
            "author": hole.author,
            "time": iso_time(hole.time),
            "language": hole.language,
            "kind": hole.kind,
            "weight": round(self.weight, 4),
            "why": self.why,
            "before": self.before,
            "middle": self.middle,
            "after": self.after,
        }


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """Restricts holes by kind, language, and author (a part of the name or address, ignoring
    case). Empty: any."""

    kind: str = ""
    language: str = ""
    author: str = ""


def readable(path: str) -> str:
    """A path as text; bytes that are not UTF-8 become replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def iso_time(seconds: int) -> str:
    """An author's time in ISO 8601, UTC; a time outside the calendar stays a number."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def make_sample(
    data: bytes, hole: Hole, weight: float, why: str, allowed: Allowed = frozenset()
) -> Sample:
    """The sample of a hole.

    :param data: the hole's blob.
    """
    shown = redact_bytes(data, hole.path, allowed)
    before, middle, after = (
        part.decode("utf-8", "replace").replace("\r\n", "\n")
        for part in (shown[: hole.start], shown[hole.start : hole.end], shown[hole.end :])
    )
    return Sample(
        hole,
        line=data.count(b"\n", 0, hole.start) + 1,
        before="\n".join(before.split("\n")[-CONTEXT_LINES - 1 :]),
        middle=middle,
        after="\n".join(after.removesuffix("\n").split("\n")[: CONTEXT_LINES + 1]),
        weight=weight,
        why=why,
    )


def read_sample(repo: GitRepository, db: Database, hole: Hole) -> Sample:
    """The sample of one hole.

    :raises CopilotError: its blob is missing.
    """
    for sample in _read(repo, db, [hole]):
        return sample
    raise CopilotError(
        f"the text of hole {hole.id} is missing: git deleted blob {hole.blob[:12]}",
        "its commit was rewritten; the next mining removes it",
    )


def choose_samples(
    repo: GitRepository, db: Database, count: int, seed: int, wanted: SampleFilter
) -> list[Sample]:
    """A random sample of ``count`` holes, the same for the same seed and corpus; fewer where there
    are no more. Holes whose blob is missing are skipped.

    :raises CopilotError: no hole matches, or the corpus is empty.
    """
    ids = _ids(db, wanted)
    random.Random(seed).shuffle(ids)
    found: list[Sample] = []
    for begin in range(0, len(ids), BATCH):
        holes = find_holes(db, ids[begin : begin + BATCH])
        for sample in _read(repo, db, holes):
            found.append(sample)
            if len(found) == count:
                return found
    return found


def _ids(db: Database, wanted: SampleFilter) -> list[int]:
    _check(db, "kind", wanted.kind)
    _check(db, "language", wanted.language)
    rows = db.query(
        "SELECT h.id, c.author FROM holes h JOIN commits c ON c.oid = h.commit_oid"
        " WHERE ? IN ('', h.kind) AND ? IN ('', h.language) ORDER BY h.id",
        (wanted.kind, wanted.language),
    )
    name = wanted.author.casefold()
    ids = [int(str(number)) for number, author in rows if name in str(author).casefold()]
    if not ids:
        if db.scalar("SELECT count(*) FROM holes"):
            raise CopilotError(
                "no hole matches",
                "`git copilot corpus` counts the holes by kind, language and author",
            )
        raise CopilotError("the corpus is empty", "commit code, then look again")
    return ids


def _check(db: Database, column: str, value: str) -> None:
    """:raises CopilotError: no hole has this kind or language; the hint lists those there are."""
    if not value:
        return
    there = [str(name) for (name,) in db.query(f"SELECT DISTINCT {column} FROM holes ORDER BY 1")]
    if there and value not in there:
        raise CopilotError(f"no hole has the {column} {value!r}", f"there are {', '.join(there)}")


def _read(repo: GitRepository, db: Database, holes: list[Hole]) -> Iterator[Sample]:
    weights, allowed = hole_weights(db, holes), load(db)
    waiting = iter(holes)
    for oid, data in repo.blobs(hole.blob for hole in holes):
        # In the order of the holes, without the missing blobs.
        hole = next(h for h in waiting if h.blob == oid)
        if hole.end <= len(data):
            yield make_sample(data, hole, *weights[hole], allowed)
