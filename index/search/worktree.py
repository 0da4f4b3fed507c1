"""Makes an overlay of the uncommitted files of a worktree.

git reports which files differ at the time of the query (`worktree_status.py`), and the file's times
tell whether its cached chunks are still valid. If git does not answer in time, the files that are
about to be shown are checked one by one.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.safe_open import read_inside
from git_copilot.index.git.objects import blob_id
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.overlay import (
    EMPTY_OVERLAY,
    Overlay,
    UncommittedFile,
    chunk_uncommitted,
)
from git_copilot.index.search.worktree_status import (
    StatusQuery,
    WorktreeDifference,
    changed_among,
    with_deadline,
)
from git_copilot.index.store import allowed_lines
from git_copilot.index.store.database import Database
from git_copilot.index.store.forget import Forgotten
from git_copilot.index.text.classify import MAX_FILE_BYTES

# Time limits for git and for chunking files: for a single query, and between two keystrokes. git
# needs 5 ms for 300 files, 40 for 20,000, 350 for 100,000 (two cores).
PATIENT_SECONDS, TYPING_SECONDS = 1.0, 0.03
# Minimum time for chunking changed files once git has answered.
CUT_SECONDS = 0.005
# More files than this are not work in progress, but an untracked build that is not ignored.
MAX_FILES, MAX_LOOKED = 100, 5000
# A file that was written this shortly before it was read may change again without a new timestamp;
# clocks of file systems may lag by SKEW_SECONDS.
RACY_NS, SKEW_SECONDS = 20_000_000, 2.0

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _CachedFile:
    stamp: _Stamp | None  # None: must be read again
    file: UncommittedFile


class Worktree:
    """The uncommitted files of one worktree. Belongs to one thread at a time."""

    def __init__(self, repo: GitRepository, db: Database) -> None:
        self._root = repo.root
        self._repo = repo
        self._db = db
        self._status = StatusQuery(repo)
        self._differing: WorktreeDifference | None = None
        self._known: dict[str, _CachedFile] = {}
        # Known to differ, by checks of single files since git answered.
        self._found: set[str] = set()
        # Known to differ, but still shown in their committed version.
        self._late: set[str] = set()
        self._overlay = EMPTY_OVERLAY
        self._format = ""
        self._allowed: allowed_lines.Allowed = frozenset()
        #: Whether the last overlay is complete as of :meth:`begin`.
        self.current = True

    @property
    def last_overlay(self) -> Overlay:
        """The most recent overlay."""
        return self._overlay

    def begin(self, *, typing: bool = False) -> None:
        """Start ``git status`` in the background, for :meth:`overlay`.

        :param typing: whether the query is one of many in a row and must be quick.
        """
        if self._root is not None:
            self._status.start(typing=typing)

    def overlay(self, patience: float = PATIENT_SECONDS) -> Overlay:
        """The files that differ from HEAD, as of :meth:`begin`; :attr:`current` tells whether the
        overlay is complete.

        At most :data:`MAX_FILES` files have a text: tracked ones first, then new ones, by path.

        :param patience: seconds to wait.
        """
        if self._root is None:
            return EMPTY_OVERLAY
        deadline = time.monotonic() + patience
        found, of_now = self._status.result(patience)
        if found is not self._differing:
            self._differing = found
            self._found.clear()
        self._lay(found, max(deadline, time.monotonic() + CUT_SECONDS))
        self.current = of_now and not self._late
        return self._overlay

    def recheck(self, paths: Iterable[str]) -> bool:
        """Check committed files that are about to be shown, unless the overlay is complete.

        :return: whether some of them differ, so that the overlay has changed.
        """
        if self.current or self._root is None:
            return False
        asked = {path for path in paths if path not in self._overlay.files}
        differ = asked & self._late
        with contextlib.suppress(GitError):
            suspects = [path for path in asked - differ if self._touched(path)]
            differ |= with_deadline(
                self._repo, PATIENT_SECONDS, lambda repo: changed_among(repo, suspects)
            )
        if not differ:
            return False
        self._found |= differ
        self._lay(self._differing or WorktreeDifference(0), 0.0, differ)
        return True

    def _touched(self, path: str) -> bool:
        """Whether a file may have changed since the last ``git status``, by its ctime, which only
        the system sets."""
        assert self._root is not None
        if self._differing is None or self._differing.failed:
            return True
        try:
            changed = (self._root / path).lstat().st_ctime
        except OSError:
            return True
        return changed >= self._differing.began - SKEW_SECONDS

    def _lay(self, found: WorktreeDifference, deadline: float, needed: Iterable[str] = ()) -> None:
        """Build the overlay from the files that are known to differ.

        :param deadline: when to stop chunking files.
        :param needed: files to chunk in any case.
        """
        forgotten = Forgotten.load(self._db)
        if (taken_in := allowed_lines.load(self._db)) != self._allowed:
            self._allowed = taken_in
            self._known.clear()
        files: dict[str, UncommittedFile | None] = dict.fromkeys(found.hidden)
        first = dict.fromkeys(needed)
        paths = list(first | dict.fromkeys(found.paths) | dict.fromkeys(sorted(self._found)))
        self._late = set(paths[MAX_LOOKED:])
        texts = 0
        for path in paths[:MAX_LOOKED]:
            stamp = None if forgotten.covers_path(path) else self._stamp(path)
            known = self._known.get(path)
            if stamp is None:
                files[path] = None
            elif texts >= MAX_FILES and path not in first:
                self._late.add(path)
                continue
            elif known is not None and known.stamp == stamp:
                files[path] = known.file
            elif path in first or time.monotonic() < deadline:
                files[path] = self._cut(path)
            else:
                self._late.add(path)
                if known is None:
                    continue
                files[path] = known.file  # slightly outdated, but newer than HEAD's
            texts += files[path] is not None
        self._known = {path: known for path, known in self._known.items() if path in files}
        if files != self._overlay.files:
            self._overlay = Overlay(files)

    def _stamp(self, path: str) -> _Stamp | None:
        """File metadata that changes with every write; ``None`` if there is no file to read."""
        assert self._root is not None
        try:
            found = (self._root / path).lstat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
            return None
        return _stamp_of(found)

    def _cut(self, path: str) -> UncommittedFile | None:
        assert self._root is not None
        read = read_inside(self._root, path, MAX_FILE_BYTES)
        if read is None:
            return None
        data, facts = read
        if not self._format:
            self._format = self._repo.object_format()
        held = self._known.get(path)
        if held is None or held.file.blob != blob_id(data, self._format):
            file = chunk_uncommitted(path, data, self._format, self._allowed)
        else:
            file = held.file
        racy = time.time_ns() - facts.st_ctime_ns < RACY_NS
        self._known[path] = _CachedFile(None if racy else _stamp_of(facts), file)
        return file

    def close(self) -> None:
        """Kill a running ``git status``."""
        self._status.close()


def _stamp_of(facts: os.stat_result) -> _Stamp:
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino
