"""Finds commits that cannot be read because some of their objects are missing.

A partial clone lacks blobs or trees, and git stops at the first missing one. So the objects that a
batch of commits needs are listed first and looked up all at once; running git once per commit
takes several times as long as mining a complete clone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from git_copilot.index.core.errors import GitError
from git_copilot.index.git.history import CommitInfo
from git_copilot.index.git.objects import FOLDER, SUBMODULE, ObjectReader, parse_tree

_RAW = re.compile(r"^:(\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) ")
_TREE = re.compile(rb"^tree ([0-9a-f]+)\n")


@dataclass(frozen=True, slots=True)
class MissingObjects:
    """One of the missing objects of a commit, and the number of file versions (or folders, where
    a tree is missing) that are missing."""

    first_missing: str
    count: int


@dataclass(slots=True)
class _NeededObjects:
    """The blobs that a commit's patch consists of, and the trees that were not found."""

    new: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    trees: list[str] = field(default_factory=list)

    def add(self, old_mode: str, old: str, new_mode: str, new: str) -> None:
        """Add one path that differs; a submodule has no blob."""
        for mode, oid, side in ((new_mode, new, self.new), (old_mode, old, self.old)):
            if mode != SUBMODULE and oid.strip("0"):
                side.append(oid)


def find_missing_objects(
    repo: ObjectReader, commits: Sequence[CommitInfo]
) -> dict[str, MissingObjects]:
    """The commits (none of them a merge) whose patches cannot be computed, by id.

    Nothing is fetched.
    """
    reader = repo.reader()
    try:
        needs = _listed(reader, commits)
    except GitError:  # a tree is missing, and git does not report of which commit
        needs = _walked(reader, commits)
    wanted = {oid for need in needs.values() for oid in (*need.new, *need.old)}
    here = repo.blob_sizes(wanted).keys()
    found = {}
    for commit, need in needs.items():
        # New versions first: an old one is also the new version of another commit.
        for side in (need.trees, need.new, need.old):
            absent = [oid for oid in side if oid not in here]
            if absent:
                found[commit] = MissingObjects(absent[0], len(absent))
                break
    return found


def _listed(reader: ObjectReader, commits: Sequence[CommitInfo]) -> dict[str, _NeededObjects]:
    """List with git the objects that the commits need.

    :raises GitError: a tree is missing.
    """
    feed = "".join(f"{' '.join((c.oid, *c.parents[:1]))}\n" for c in commits).encode()
    needs = {c.oid: _NeededObjects() for c in commits}
    current = _NeededObjects()
    with reader.stream(
        "diff-tree", "--stdin", "--root", "--always", "-r", "--raw", "--no-renames", "--full-index",
        "--no-abbrev", stdin=feed,
    ) as out:  # fmt: skip
        for raw in out:
            line = raw.decode("utf-8", "replace")
            if match := _RAW.match(line):
                current.add(match[1], match[3], match[2], match[4])
            else:
                current = needs.get(line.strip().split(" ", 1)[0], current)
    return needs


def _walked(reader: ObjectReader, commits: Sequence[CommitInfo]) -> dict[str, _NeededObjects]:
    """The same, level by level through all commits at once, skipping missing trees."""
    parents = [c.parents[0] for c in commits if c.parents]
    roots = dict(_root_trees(reader, [*(c.oid for c in commits), *parents]))
    needs = {c.oid: _NeededObjects() for c in commits}
    level: list[tuple[str, str, str]] = []  # commit, tree before, tree after; "": none
    for commit in commits:
        before = roots.get(commit.parents[0]) if commit.parents else ""
        after = roots.get(commit.oid)
        if before is None or after is None:  # the commit itself is missing
            needs[commit.oid].trees.append(commit.parents[0] if before is None else commit.oid)
        elif before != after:
            level.append((commit.oid, before, after))
    while level:
        asked = {tree for _, *sides in level for tree in sides if tree}
        trees = {oid: _entries(oid, data) for oid, data in reader.blobs(asked)}
        below: list[tuple[str, str, str]] = []
        for commit_oid, before, after in level:
            absent = [tree for tree in (after, before) if tree and tree not in trees]
            needs[commit_oid].trees.extend(absent)
            if not absent:
                changed = _changed(trees.get(before, {}), trees.get(after, {}))
                below += _descend(commit_oid, changed, needs[commit_oid])
        level = below
    return needs


_Entry = tuple[str, str]  # mode, object id
_NO_ENTRY: _Entry = ("", "")


def _entries(oid: str, data: bytes) -> dict[bytes, _Entry]:
    return {name: (mode, child) for mode, name, child in parse_tree(data, len(oid) // 2)}


def _changed(
    before: dict[bytes, _Entry], after: dict[bytes, _Entry]
) -> Iterator[tuple[_Entry, _Entry]]:
    for name in before.keys() | after.keys():
        old, new = before.get(name, _NO_ENTRY), after.get(name, _NO_ENTRY)
        if old != new:
            yield old, new


def _descend(
    commit: str, changed: Iterable[tuple[_Entry, _Entry]], need: _NeededObjects
) -> list[tuple[str, str, str]]:
    """Record the blobs that differ; return the folders to descend into."""
    below = []
    for (old_mode, old), (new_mode, new) in changed:
        folders = (old if old_mode == FOLDER else "", new if new_mode == FOLDER else "")
        if any(folders):
            below.append((commit, *folders))
        need.add(old_mode, "" if folders[0] else old, new_mode, "" if folders[1] else new)
    return below


def _root_trees(reader: ObjectReader, commits: Iterable[str]) -> Iterator[tuple[str, str]]:
    for oid, data in reader.blobs(dict.fromkeys(commits)):
        if match := _TREE.match(data):
            yield oid, match[1].decode()
