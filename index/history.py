"""Reads commits as a stream of plumbing: who, when, and which lines they added."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from git_copilot.index.git import GitRepository

_HUNK = re.compile(rb"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(rb"^index [0-9a-f]+\.\.([0-9a-f]+)(?: (\d+))?")
_NEW_MODE = re.compile(rb"^new (?:file )?mode (\d+)")


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit as ``.mailmap`` sees it; ``time`` is the author's, in seconds since 1970."""

    oid: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: int


@dataclass(slots=True)
class FileAdditions:
    """Lines that a commit added to one file: runs of (first line, count), 1-based."""

    path: str
    blob: str
    mode: str = ""
    runs: list[tuple[int, int]] = field(default_factory=list)


def list_commits(
    repo: GitRepository, tip: str, *, limit: int = 0, exclude: Sequence[str] = ()
) -> list[CommitInfo]:
    """Commits reachable from ``tip`` and from none of ``exclude``, newest first."""
    args = [
        "log", "--no-show-signature", "--topo-order", "-z", "--encoding=UTF-8",
        "--format=%H%x1f%P%x1f%aN%x1f%aE%x1f%at",
    ]  # fmt: skip
    if limit:
        args.append(f"--max-count={limit}")
    args += ["--end-of-options", tip, *(f"^{oid}" for oid in exclude), "--"]
    commits = []
    for record in repo.run(*args).split(b"\0"):
        if record:
            oid, parents, author, email, time = record.decode("utf-8", "replace").split("\x1f")
            commits.append(CommitInfo(oid, tuple(parents.split()), author, email, int(time or 0)))
    return commits


def shallow_commits(repo: GitRepository) -> set[str]:
    """Commits whose parents were cut off: they look as if they had added everything."""
    path = repo.common_dir / "shallow"
    try:
        return set(path.read_text("ascii").split())
    except FileNotFoundError:
        return set()


def additions(
    repo: GitRepository, commits: Sequence[str]
) -> Iterator[tuple[str, list[FileAdditions]]]:
    """For each non-merge commit, in order, the lines that it added (renames are additions)."""
    feed = "".join(f"{oid}\n" for oid in commits).encode()
    if not feed:
        return
    args = (
        "diff-tree", "--stdin", "--root", "-r", "-p", "-U0", "--no-renames", "--full-index",
        "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
    )  # fmt: skip
    known = {oid.encode() for oid in commits}
    with repo.stream(*args, stdin=feed) as out:
        commit = ""
        found: list[FileAdditions] = []
        skip = 0
        for line in out:
            if skip:
                skip -= 1
            elif (stripped := line.rstrip(b"\n")) in known:
                if commit:
                    yield commit, found
                commit, found = stripped.decode(), []
            else:
                skip = _read_header(line, found)
        if commit:
            yield commit, found


def _read_header(line: bytes, found: list[FileAdditions]) -> int:
    """Take one line of a patch's headers; return how many lines of hunk body follow."""
    if line.startswith(b"diff --git "):
        found.append(FileAdditions("", ""))
    elif match := _INDEX.match(line):
        found[-1].blob = match[1].decode()
        found[-1].mode = (match[2] or found[-1].mode.encode()).decode()
    elif match := _NEW_MODE.match(line):
        found[-1].mode = match[1].decode()
    elif line.startswith((b"+++ b/", b'+++ "b/')):
        found[-1].path = _unquote(line[4:].rstrip(b"\n").rstrip(b"\t"))
    elif match := _HUNK.match(line):
        count = int(match[2]) if match[2] is not None else 1
        if count:
            found[-1].runs.append((int(match[1]), count))
        removed = re.match(rb"^@@ -\d+(?:,(\d+))? ", line)
        gone = int(removed[1]) if removed and removed[1] is not None else 1
        return count + gone
    return 0


_ESCAPES = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f",
            b"r": b"\r", b'"': b'"', b"\\": b"\\"}  # fmt: skip


def _unquote(name: bytes) -> str:
    """Undo git's C-style quoting of a path and drop the ``b/``."""
    if name.startswith(b'"'):
        name = re.sub(
            rb"\\([0-7]{3}|.)",
            lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else _ESCAPES.get(m[1], m[1]),
            name[1:-1],
        )
    return os.fsdecode(name[2:])
