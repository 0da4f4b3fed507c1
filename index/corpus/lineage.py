"""Tracks lines through history: parents first, one state per commit that is still needed. Pure.

A state maps the tracked lines to their places in a commit's tree. A commit changes it by the
difference from its first parent; from the other parents of a merge, only those files matter that
the first parent does not explain. A line survives a merge if it does so through any parent. So the
cost is that of the differences, however many lines are tracked.

The deletion of a hole is attributed to the earliest commit, by author time and then by descent,
that removed one of its lines on any path to the last commit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from git_copilot.index.git.history import CommitInfo, FilePatch

# (old commit, new commit, paths in the old one) -> the patches of these files, with renames.
Between = Callable[[str, str, Sequence[str]], list[FilePatch]]


class TrackedLines(NamedTuple):
    """The tracked lines of one file: ``marks[i]`` is on line ``lines[i]`` (1-based, ascending).
    ``blob`` is its content, or one that differs in white space only."""

    blob: str
    lines: list[int]
    marks: list[int]


State = dict[str, TrackedLines]


class LineDeletion(NamedTuple):
    """The commit that deleted lines, and its author time in seconds."""

    time: int
    commit: str


@dataclass(frozen=True, slots=True)
class HoleRemains:
    """The surviving lines of a hole of ``commit``: by path, the number of each line (1-based; 0:
    gone). No path: nothing is left."""

    commit: str
    places: Mapping[str, Sequence[int]]
    deletion: LineDeletion | None = None

    @property
    def stands(self) -> float:
        """The share of the lines that survive anywhere."""
        lines = list(zip(*self.places.values(), strict=True))
        return sum(map(any, lines)) / max(1, len(lines))


def apply_patch(track: TrackedLines, patch: FilePatch) -> tuple[TrackedLines, list[int]]:
    """``track`` after a patch of its file, and the marks whose lines the patch removed."""
    if patch.deleted:
        return TrackedLines("", [], []), track.marks
    lines: list[int] = []
    marks: list[int] = []
    gone: list[int] = []
    done = shift = 0
    for first, removed, _, added in patch.hunks:
        first += removed == 0  # nothing removed: git gives the line before
        begin = bisect_left(track.lines, first, done)
        end = bisect_left(track.lines, first + removed, begin)
        lines += [line + shift for line in track.lines[done:begin]]
        marks += track.marks[done:begin]
        gone += track.marks[begin:end]
        done, shift = end, shift + added - removed
    lines += [line + shift for line in track.lines[done:]]
    marks += track.marks[done:]
    return TrackedLines(patch.blob or track.blob, lines, marks), gone


class Lineage:
    """Tracks the lines of holes. Feed it every commit once, parents before children."""

    def __init__(self, commits: Iterable[CommitInfo], between: Between) -> None:
        self._children = Counter(parent for commit in commits for parent in commit.parents)
        self._between = between
        self._states: dict[str, State] = {}
        self._owner: list[int] = []  # mark -> hole
        self._deleted_marks: set[int] = set()  # marks that were deleted on some path
        # hole -> its commit, the first of its marks, their number: one per line, in order
        self._homes: dict[int, tuple[str, int, int]] = {}
        self._deletions: dict[int, LineDeletion] = {}
        # Holes in files that git could not compare.
        self._lost: set[int] = set()

    def resume(
        self, commit: str, remains: Mapping[int, HoleRemains], blobs: Mapping[str, str]
    ) -> None:
        """Start at ``commit``, with the ``remains`` of holes in files of ``blobs``."""
        found: dict[str, list[tuple[int, int]]] = {}
        for hole, rest in remains.items():
            if rest.deletion is not None:
                self._deletions[hole] = rest.deletion
            count = max(map(len, rest.places.values()), default=0)
            marks = self._register(hole, rest.commit, count)
            for path, lines in rest.places.items():
                pairs = zip(lines, marks, strict=True)
                found.setdefault(path, []).extend(pair for pair in pairs if pair[0])
        state = self._states[commit] = {}
        for path, stands in found.items():
            blob = blobs.get(path, "")
            _join(state, path, blob, [line for line, _ in stands], [mark for _, mark in stands])

    def step(self, commit: CommitInfo, patches: Sequence[FilePatch] | None) -> None:
        """Process ``commit``, given the difference from its first parent (``None``:
        unavailable)."""
        parents = commit.parents
        dead: Collection[int] = ()
        if patches is None:
            for parent in parents:
                self._mark_untraceable(self._take(parent).values())
            state: State = {}
        elif len(parents) < 2:
            state = self._take(parents[0]) if parents else {}
            dead = self._advance(state, patches)
        else:
            state, dead = self._merge(commit, patches)
            for parent in parents:
                self._take(parent, copy=False)
        self._states[commit.oid] = state
        self._deleted_marks.update(dead)
        death = LineDeletion(commit.time, commit.oid)
        for hole in {self._owner[mark] for mark in dead}:
            known = self._deletions.get(hole)
            if known is None or death.time < known.time:
                self._deletions[hole] = death

    def track(self, commit: str, path: str, blob: str, hole: int, lines: Sequence[int]) -> None:
        """Track ``lines`` (ascending) of a file of ``commit``, the commit of the last
        :meth:`step`."""
        marks = self._register(hole, commit, len(lines))
        _join(self._states[commit], path, blob, lines, marks)

    def remains(self, commit: str) -> dict[int, HoleRemains]:
        """The remains of every hole in ``commit``, which must have no children among the commits.
        Holes that could not be tracked are omitted."""
        places: dict[int, dict[str, list[int]]] = {}
        for path, track in self._states.get(commit, {}).items():
            for line, mark in zip(track.lines, track.marks, strict=True):
                hole = self._owner[mark]
                _, first, count = self._homes[hole]
                lines = places.setdefault(hole, {}).setdefault(path, [0] * count)
                lines[mark - first] = line
        return {
            hole: HoleRemains(home, places.get(hole, {}), self._deletions.get(hole))
            for hole, (home, _, count) in self._homes.items()
            if hole not in self._lost and count
        }

    def _register(self, hole: int, commit: str, count: int) -> range:
        """Marks for the lines of a hole."""
        first = len(self._owner)
        self._owner += [hole] * count
        self._homes[hole] = commit, first, count
        return range(first, first + count)

    def _mark_untraceable(self, tracks: Iterable[TrackedLines]) -> None:
        self._lost.update(self._owner[mark] for track in tracks for mark in track.marks)

    def _take(self, oid: str, copy: bool = True) -> State:
        """The state of a commit, for one child to change: a copy, or the original for the last."""
        self._children[oid] -= 1
        if self._children[oid] <= 0:
            return self._states.pop(oid, {})
        return dict(self._states.get(oid, {})) if copy else {}

    def _advance(self, state: State, patches: Sequence[FilePatch]) -> list[int]:
        """Apply patches to ``state``; return the deleted marks."""
        moved: list[tuple[str, TrackedLines]] = []
        dead: list[int] = []
        # Read all before writing any: one file may take another's name.
        for patch in patches:
            track = None if patch.created else state.pop(patch.old_path, None)
            if track is None:
                continue
            if patch.opaque and not patch.deleted:
                self._mark_untraceable([track])
                continue
            after, gone = apply_patch(track, patch)
            dead += gone
            moved.append((patch.path, after))
        for path, track in moved:
            _join(state, path, *track)
        return dead

    def _merge(self, commit: CommitInfo, patches: Sequence[FilePatch]) -> tuple[State, set[int]]:
        """The state of a merge, and the marks that are in one of its parents but not in it."""
        base = self._states.get(commit.parents[0], {})
        state = dict(base)
        dead = set(self._advance(state, patches))
        changed = _contents(base, patches)
        for parent in commit.parents[1:]:
            unsettled: State = {}
            for path, track in self._states.get(parent, {}).items():
                ours = base.get(path)
                if track is ours:
                    continue
                fresh = _without(track, state[path].marks if path in state else ())
                if track.blob == changed.get(path, ours.blob if ours else ""):
                    _join(state, path, *fresh)
                    dead.difference_update(fresh.marks)
                # The merge has the first parent's file: marks deleted there before stay deleted.
                elif path in changed or not self._deleted_marks.issuperset(fresh.marks):
                    unsettled[path] = fresh
            dead |= self._settle(commit.oid, parent, unsettled, state, dead)
        return state, dead

    def _settle(
        self, commit: str, parent: str, tracks: State, state: State, dead: set[int]
    ) -> set[int]:
        """Transfer marks of another parent, in files that differ from the merge's, to the merge.

        :return: the marks that the merge lacks.
        """
        if not any(track.marks for track in tracks.values()):
            return set()
        # The first parent may have the same lines under another name.
        known = {mark for track in state.values() for mark in track.marks}
        tracks = {path: _without(track, known) for path, track in tracks.items()}
        theirs: State = {path: track for path, track in tracks.items() if track.marks}
        if not theirs:
            return set()
        lacking = set(self._advance(theirs, self._between(parent, commit, sorted(theirs))))
        for path, track in theirs.items():
            _join(state, path, *track)
            dead.difference_update(track.marks)
        return lacking


def _join(state: State, path: str, blob: str, lines: Sequence[int], marks: Sequence[int]) -> None:
    """Add marks to the track of a file."""
    if not marks:
        return
    old = state.get(path, TrackedLines("", [], []))
    pairs = sorted(zip([*old.lines, *lines], [*old.marks, *marks], strict=True))
    state[path] = TrackedLines(blob, [line for line, _ in pairs], [mark for _, mark in pairs])


def _without(track: TrackedLines, known: Collection[int]) -> TrackedLines:
    """``track`` without the marks in ``known``."""
    known = known if isinstance(known, set) else set(known)
    pairs = [
        (line, mark)
        for line, mark in zip(track.lines, track.marks, strict=True)
        if mark not in known
    ]
    return TrackedLines(track.blob, [line for line, _ in pairs], [mark for _, mark in pairs])


def _contents(base: State, patches: Sequence[FilePatch]) -> dict[str, str]:
    """The blobs of the paths that patches touch; empty if deleted or unknown."""
    changed: dict[str, str] = {}
    for patch in patches:
        before = base.get(patch.old_path)
        content = patch.blob or (before.blob if before else "")
        if patch.old_path != patch.path:
            changed.setdefault(patch.old_path, "")
        changed[patch.path] = "" if patch.deleted else content
    return changed
