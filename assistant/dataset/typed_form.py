"""Holes in the form in which their author met them: ``typed``. Pure but for reading git.

A hole that is cut out of a finished file is easier than any place where a person types: behind it
stands code that was written after it. In the typed form the text behind the cursor is the
parent's: what the same commit added there is not there yet. The rest of the cursor's line is
absent, or only the brackets and quotes that an editor has closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from git_copilot.assistant.postprocess.pairs import OpenPairs
from git_copilot.index.core.types import BOTH, TYPED, Hole
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.git.history import FilePatch, patches
from git_copilot.index.git.repository import GitRepository

# A statement that goes on behind the cursor's line is continued over this many lines.
MAX_LINES = 10
# The share of the places with an open pair at which an editor has closed it, and of all holes that
# are in the typed form where both forms are wanted.
PAIRED, HALF = 0.5, 0.5


@dataclass(frozen=True, slots=True)
class Parent:
    """A file before a commit: its lines, and the commit's hunks, see
    :class:`~git_copilot.index.git.history.FilePatch`."""

    lines: tuple[str, ...]
    hunks: tuple[tuple[int, int, int, int], ...]

    @classmethod
    def of(cls, text: str, patch: FilePatch) -> Parent:
        return cls(tuple(text.split("\n")), tuple(patch.hunks))

    def text_behind(self, line: int) -> str:
        """The text below line ``line`` (1-based) of the new file as it was while that line was
        written: old lines that a hunk replaces are gone once its first line is begun."""
        following = line + 1
        for first, gone, new, come in self.hunks:
            if new > line or (not come and new == line):
                break
            if come and line < new + come:
                following = first + gone if gone else first + 1
                break
            following += gone - come
        rest = self.lines[following - 1 :]
        return "\n" + "\n".join(rest) if any(rest) else ""

    def hunk_end(self, line: int) -> int:
        """The last line of the hunk that wrote line ``line`` of the new file, or ``line``."""
        ends = (new + come - 1 for _, _, new, come in self.hunks if new <= line < new + come)
        return next(ends, line)


def read_patches(repo: GitRepository, holes: Sequence[Hole]) -> dict[tuple[str, str], FilePatch]:
    """The patch of each file that ``holes`` are in, by commit and path, a renamed file's with its
    new one."""
    paths: dict[str, set[str]] = {}
    for hole in holes:
        paths.setdefault(hole.commit, set()).add(hole.path)
    return {
        (oid, patch.path): patch
        for oid, changed in patches(repo, list(paths), "-M")
        for patch in changed
        if patch.path in paths[oid] and patch.blob
    }


def is_typed(hole: Hole, form: str) -> bool:
    """Whether a hole is used in the typed form: half of them are where ``form`` is ``"both"``."""
    if form != BOTH:
        return form == TYPED
    return _random(hole, "form") < HALF


def typed_parts(
    prefix: str, behind: str, parent: Parent, path: str, *, line: int, size: int, paired: bool
) -> tuple[str, str, str]:
    """The middle, the suffix and the closers of a hole in the typed form, see
    :class:`~git_copilot.assistant.dataset.cuts.Cut`.

    :param behind: the finished file right of the cursor, of which the hole takes ``size``
        characters.
    :param line: the cursor's, 1-based.
    :param paired: an editor has closed what is open on the cursor's line.
    """
    below, pairs = parent.text_behind(line), OpenPairs(prefix, path)
    last = parent.hunk_end(line)
    end = _line_end(behind, size)
    lines = behind.count("\n", 0, end)
    most = lines + MAX_LINES
    while line + lines < last and lines < most and not pairs.is_closed(behind[:end]):
        end, lines = _line_end(behind, end + 1), lines + 1
    if not pairs.is_closed(behind[:end]):
        end = _line_end(behind, size)
    middle = behind[:end].rstrip()
    closed = paired and pairs.closers and pairs.end(middle)
    return middle, below, pairs.closers if closed else ""


def is_paired(hole: Hole) -> bool:
    """Whether an editor has closed the pairs at a hole, if any are open there."""
    return _random(hole, "pairs") < PAIRED


def _random(hole: Hole, purpose: str) -> float:
    return seeded_random(purpose, hole.commit, hole.path, str(hole.start), str(hole.end)).random()


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end
