"""Streams commits from git plumbing: author, time, and the lines that they added."""

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
    """A commit after ``.mailmap``; ``time`` is the author time, in seconds since 1970."""

    oid: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: int


@dataclass(slots=True)
class FilePatch:
    """The change of one file between a parent and a commit.

    Blobs are empty if the content is unchanged (only the mode or the name changed), and all zeros
    on the side without a file. ``hunks`` are (first removed line, count, first added line, count),
    1-based; if a count is 0, the line is the one before. ``opaque``: git shows no lines, as for a
    binary file.
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
    """Commits whose parents a shallow clone lacks: they appear to add every file."""
    path = repo.common_dir / "shallow"
    try:
        return set(path.read_text("ascii").split())
    except FileNotFoundError:
        return set()


def additions(
    repo: GitRepository, commits: Sequence[str]
) -> Iterator[tuple[str, list[FileAdditions]]]:
    """Yield the lines that each non-merge commit added, in order (renames count as additions)."""
    for oid, found in patches(repo, commits, "--no-renames"):
        if found:
            yield oid, [patch.additions for patch in found]


def patches(
    repo: GitRepository, requests: Sequence[str], *options: str
) -> Iterator[tuple[str, list[FilePatch]]]:
    """Yield the file changes of commits, in the order of ``requests``.

    :param requests: ``COMMIT``, compared with its parent (a merge shows nothing), or
        ``COMMIT PARENT``; object ids.
    :param options: of ``git diff-tree``, such as ``-M``.
    :raises GitError: an object is missing; the commits before it have been yielded.
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
    """The changes of ``paths`` (all if empty) between two commits or trees.

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
    """Parse one header line of a patch."""
    if match := _HUNK.match(line):
        first, gone, new, come = (1 if n is None else int(n) for n in match.groups())
        found[-1].hunks.append((first, gone, new, come))
    elif line.startswith(b"diff --git "):
        # Both names are the same here; a rename has separate lines for its names.
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
