"""Immutable values shared by several packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


# Forms of holes: the text as it was while its author wrote it, cut out of the finished file, or half
# of the holes in each.
TYPED, FINISHED, BOTH = "typed", "finished", "both"
FORMS = (TYPED, FINISHED, BOTH)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree, as ``git ls-tree`` gives it."""

    mode: str
    oid: str
    path: str


@dataclass(frozen=True, slots=True)
class TreeChange:
    """One path that differs between two trees. A missing side has ``oid`` ``None``."""

    path: str
    old: TreeEntry | None
    new: TreeEntry | None


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name defined in a chunk: the line (1-based) of its header, the header on one line with
    all parameters, the names of the enclosing definitions (``Outer.Inner``), and the first line of
    its docstring or comment."""

    name: str
    kind: str
    line: int
    signature: str
    scope: str = ""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of whole lines of a blob. Lines are 1-based and inclusive, bytes 0-based half open.

    ``scope`` contains the headers of the enclosing definitions that are outside the chunk, one per
    line, outermost first.
    """

    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    kind: str
    name: str
    text: str
    symbols: tuple[Symbol, ...] = ()
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that matches a query, with every source that found it."""

    chunk_id: int
    path: str
    blob: str
    start_line: int
    end_line: int
    text: str
    score: float
    sources: tuple[str, ...]
    language: str = ""


@dataclass(frozen=True, slots=True)
class Hole:
    """A span of a blob that a commit wrote: prefix, middle and suffix are the blob cut at it.

    ``start`` and ``end`` are byte offsets into the blob, ``time`` is the author's, in seconds.
    """

    commit: str
    blob: str
    path: str
    start: int
    end: int
    kind: str
    author: str
    time: int
    language: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class SyncReport:
    """Result of a sync; the field names are those of ``index --json``."""

    tree: str
    blobs_added: int = 0
    blobs_removed: int = 0
    chunks_added: int = 0
    chunks_embedded: int = 0
    seconds: float = 0.0


class Embedder(Protocol):
    """Turns text into vectors of unit length."""

    @property
    def name(self) -> str:
        """Identifies the weights: vectors with different names are never mixed."""
        ...

    @property
    def dimensions(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape ``(len(texts), dimensions)``, rows of length 1 (or 0)."""
        ...


class Progress(Protocol):
    """Receives the progress of a long operation; ``total`` is 0 when unknown."""

    def __call__(self, label: str, done: int, total: int) -> None: ...


def no_progress(label: str, done: int, total: int) -> None:
    """A :class:`Progress` that shows nothing."""


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One value of git's configuration. ``scope`` is ``system``, ``global``, ``local``,
    ``worktree`` or ``command``; ``key`` is lower-case, without the requested prefix."""

    scope: str
    origin: str
    key: str
    value: str
