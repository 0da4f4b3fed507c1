"""What lies in the worktree but not in HEAD, as an overlay: cheap enough for every key.

git says which files differ, in a thread and no more than once in a while; of those a look at the
file's times tells whether its chunks are still good.
"""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

from git_copilot.index import allowed
from git_copilot.index.classify import MAX_FILE_BYTES
from git_copilot.index.db import Database
from git_copilot.index.errors import GitError
from git_copilot.index.forget import Forgotten
from git_copilot.index.git import GitRepository
from git_copilot.index.overlay import NOTHING_LOOSE, LooseFile, Overlay, loose_file
from git_copilot.index.rules import left_out

# git is not asked again sooner. What is written to a file known to differ is seen at once.
ASKED_AGAIN_SECONDS = 1.0
# How long the first query waits for git and for cutting files, and later ones: what is not done
# by then is there for the next key.
FIRST_SECONDS, LATER_SECONDS = 2.0, 0.005
# More than this is no work in progress, but a build that nobody ignored.
MAX_FILES = 100

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: _Stamp
    file: LooseFile


def uncommitted_paths(repo: GitRepository) -> list[str]:
    """Paths of a worktree that differ from HEAD (changed, added or gone), then new ones that are
    not ignored, each part in order. Nothing is written, not even git's own index.

    :raises GitError: there is no worktree, or its index is damaged.
    """
    raw = repo.run(
        "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all",
        "--ignore-submodules=all",
    )  # fmt: skip
    entries = [(e[:2] == b"??", os.fsdecode(e[3:])) for e in raw.split(b"\0") if e]
    return [path for _, path in sorted(entries)]


def _wanted(repo: GitRepository) -> list[str]:
    """The same without what the rules of HEAD's tree leave out."""
    paths = uncommitted_paths(repo)
    out = left_out(repo, repo.shown_tree(), paths) if paths else {}
    return [path for path in paths if path not in out]


class Worktree:
    """The uncommitted files of one worktree. Belongs to one thread at a time."""

    def __init__(self, repo: GitRepository, db: Database) -> None:
        self._repo = repo
        self._root = repo.root or repo.git_dir
        self._db = db
        self._pool: ThreadPoolExecutor | None = None
        self._asked: Future[list[str]] | None = None
        self._asked_at = float("-inf")
        self._paths: list[str] | None = None
        self._known: dict[str, _Known] = {}
        self._overlay = NOTHING_LOOSE
        self._format = ""

    def overlay(self) -> Overlay:
        """What differs from HEAD now, as far as it can be told in a few milliseconds.

        At most :data:`MAX_FILES` files: those that git tracks, then new ones, by path.
        """
        if self._repo.root is None:
            return NOTHING_LOOSE
        patience = FIRST_SECONDS if self._paths is None else LATER_SECONDS
        deadline = time.monotonic() + patience
        self._ask(patience)
        forgotten = Forgotten.load(self._db)
        files: dict[str, LooseFile | None] = {}
        for path in self._paths or ():
            if forgotten.path(path):
                files[path] = None
                continue
            stamp = self._stamp(path)
            known = self._known.get(path)
            if stamp is None:
                files[path] = None
            elif known is not None and known.stamp == stamp:
                files[path] = known.file
            elif time.monotonic() < deadline:
                files[path] = self._cut(path, stamp)
            elif known is not None:
                files[path] = known.file
        self._known = {path: known for path, known in self._known.items() if path in files}
        if files != self._overlay.files:
            self._overlay = Overlay(files)
        return self._overlay

    def _ask(self, patience: float) -> None:
        """Take git's answer if there is one by now, and ask anew when it is old."""
        now = time.monotonic()
        if self._asked is None and now - self._asked_at >= ASKED_AGAIN_SECONDS:
            self._pool = self._pool or ThreadPoolExecutor(1, "worktree")
            self._asked_at = now
            self._asked = self._pool.submit(_wanted, self._repo)
        if self._asked is None:
            return
        try:
            paths = self._asked.result(patience)
        except NotYet:
            return
        except GitError:
            paths = []  # a damaged index, say: what is committed is searched all the same
        self._paths = paths[:MAX_FILES]
        self._asked = None

    def _stamp(self, path: str) -> _Stamp | None:
        """What changes when a file is written; ``None`` where there is no file to read."""
        try:
            found = (self._root / path).lstat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _cut(self, path: str, stamp: _Stamp) -> LooseFile | None:
        try:
            with (self._root / path).open("rb") as file:
                data = file.read(MAX_FILE_BYTES)
        except OSError:
            return None
        if not self._format:
            self._format = self._repo.run("rev-parse", "--show-object-format").decode().strip()
        found = loose_file(path, data, self._format, allowed.load(self._db))
        self._known[path] = _Known(stamp, found)
        return found

    def close(self) -> None:
        """Wait for no answer any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
