"""Reads commits as a stream of plumbing: who, when, and which lines they added."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from git_copilot.index.git.repository import GitRepository

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(rb"^index ([0-9a-f]+)\.\.([0-9a-f]+)(?: (\d+))?")
_MODE = re.compile(rb"^(?:old|new|new file|deleted file) mode (\d+)")
_BODY = (b"+", b"-", b" ", b"\\")


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit as ``.mailmap`` sees it; ``time`` is the author's, in seconds since 1970."""

    oid: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: int


@dataclass(slots=True)
class FilePatch:
    """How a commit changed one file against a parent.

    Blobs are empty where the content is the same (a mode or a name changed), and all zeros on the
    side that has no file. ``hunks`` are (first line removed, how many, first line added, how
    many), 1-based; where the count is 0, the first line is the one before. ``opaque``: git
    shows no lines, as for a binary file.
    """

    old_path: str
    path: str
    old_blob: str = ""
    blob: str = ""
    mode: str = ""
    opaque: bool = False
    hunks: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def created(self) -> bool:
        return bool(self.old_blob) and not self.old_blob.strip("0")

    @property
    def deleted(self) -> bool:
        return bool(self.blob) and not self.blob.strip("0")

    @property
    def additions(self) -> FileAdditions:
        runs = [(first, count) for _, _, first, count in self.hunks if count]
        return FileAdditions(self.path, self.blob, self.mode, runs)


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
    for oid, found in patches(repo, commits, "--no-renames"):
        if found:
            yield oid, [patch.additions for patch in found]


def patches(
    repo: GitRepository, requests: Sequence[str], *options: str
) -> Iterator[tuple[str, list[FilePatch]]]:
    """How commits changed files, in the order asked for.

    :param requests: ``COMMIT``, compared with its parent (a merge shows nothing), or
        ``COMMIT PARENT``; object ids.
    :param options: of ``git diff-tree``, such as ``-M``.
    :raises GitError: an object is missing; the commits before it were given.
    """
    feed = "".join(f"{request}\n" for request in requests).encode()
    if not feed:
        return
    known = {request.split(" ", 1)[0].encode() for request in requests}
    with repo.stream(*_DIFF_TREE, "--stdin", "--always", "--root", *options, stdin=feed) as out:
        commit = ""
        found: list[FilePatch] = []
        for line in out:
            if line.startswith(_BODY):
                continue
            if (stripped := line.rstrip(b"\n")) in known:
                if commit:
                    yield commit, found
                commit, found = stripped.decode(), []
            else:
                _read_header(stripped, found)
    # After the stream: if git failed, this commit may be cut short.
    if commit:
        yield commit, found


def patches_between(
    repo: GitRepository, old: str, new: str, paths: Sequence[str], *options: str
) -> list[FilePatch]:
    """How ``paths`` (all, if empty) differ between two commits or trees.

    :raises GitError: an object is missing.
    """
    found: list[FilePatch] = []
    args = ("--literal-pathspecs", *_DIFF_TREE, *options, old, new, "--", *paths)
    with repo.stream(*args) as out:
        for line in out:
            if not line.startswith(_BODY):
                _read_header(line.rstrip(b"\n"), found)
    return found


_DIFF_TREE = (
    "diff-tree", "-r", "-p", "-U0", "--full-index", "--no-color", "--no-ext-diff",
    "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


def _read_header(line: bytes, found: list[FilePatch]) -> None:
    """Take one line of a patch that is no line of a file."""
    if match := _HUNK.match(line):
        first, gone, new, come = (1 if n is None else int(n) for n in match.groups())
        found[-1].hunks.append((first, gone, new, come))
    elif line.startswith(b"diff --git "):
        # Both names are the same here; a rename says its names in lines of their own.
        names = line[len(b"diff --git ") :]
        path = _unquote(names[: len(names) // 2])[2:]
        found.append(FilePatch(path, path))
    elif match := _INDEX.match(line):
        found[-1].old_blob, found[-1].blob = match[1].decode(), match[2].decode()
        found[-1].mode = (match[3] or found[-1].mode.encode()).decode()
    elif match := _MODE.match(line):
        found[-1].mode = match[1].decode()
    elif line.startswith(b"rename from "):
        found[-1].old_path = _unquote(line[len(b"rename from ") :])
    elif line.startswith(b"rename to "):
        found[-1].path = _unquote(line[len(b"rename to ") :])
    elif line.startswith(b"Binary files "):
        found[-1].opaque = True


_ESCAPES = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f",
            b"r": b"\r", b'"': b'"', b"\\": b"\\"}  # fmt: skip


def _unquote(name: bytes) -> str:
    """Undo git's C-style quoting of a path."""
    if name.startswith(b'"'):
        name = re.sub(
            rb"\\([0-7]{3}|.)",
            lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else _ESCAPES.get(m[1], m[1]),
            name[1:-1],
        )
    return os.fsdecode(name)
