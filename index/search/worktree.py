"""What lies in the worktree but not in HEAD, as an overlay.

git says which files differ at the moment of the question (`worktree_status.py`); of those a look at the
file's times tells whether its chunks are still good. Where git has not answered in time, the files
that are about to be shown are judged one by one.
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

# Who waits for an answer waits so long for git and for cutting files, who types between two keys so
# long: git needs 5 ms for 300 files, 40 for 20,000, 350 for 100,000 (two cores).
PATIENT_SECONDS, TYPING_SECONDS = 1.0, 0.03
# Once git has answered, changed files are cut at least so long.
CUT_SECONDS = 0.005
# More than this is no work in progress, but a build that nobody ignored.
MAX_FILES, MAX_LOOKED = 100, 5000
# A file written so short a time before it was read may be written again without any sign of it;
# and clocks of file systems may be behind by so much.
RACY_NS, SKEW_SECONDS = 20_000_000, 2.0

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _CachedFile:
    stamp: _Stamp | None  # None: it is to be read again
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
        # Known to differ, by a look at single files since git answered.
        self._found: set[str] = set()
        # Known to differ, and still shown as they are committed.
        self._late: set[str] = set()
        self._overlay = EMPTY_OVERLAY
        self._format = ""
        self._allowed: allowed_lines.Allowed = frozenset()
        #: Whether the last overlay is all that differed when it was asked for.
        self.current = True

    @property
    def last_overlay(self) -> Overlay:
        """The overlay made last."""
        return self._overlay

    def begin(self, *, typing: bool = False) -> None:
        """Let git look at the worktree, beside what else there is to do before :meth:`overlay`.

        :param typing: the query is one of many in a row, and must not take long.
        """
        if self._root is not None:
            self._status.start(typing=typing)

    def overlay(self, patience: float = PATIENT_SECONDS) -> Overlay:
        """What differs from HEAD, as of :meth:`begin`; :attr:`current` says whether that is all.

        Of at most :data:`MAX_FILES` files there is a text: those that git tracks, then new ones,
        by path.

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
        """Look at committed files that are about to be shown, unless all is known to be current.

        :return: whether some of them differ: the overlay is another now.
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
        """Whether a file may have changed since git was asked last; nothing but the system sets
        the time that tells."""
        assert self._root is not None
        if self._differing is None or self._differing.failed:
            return True
        try:
            changed = (self._root / path).lstat().st_ctime
        except OSError:
            return True
        return changed >= self._differing.began - SKEW_SECONDS

    def _lay(self, found: WorktreeDifference, deadline: float, needed: Iterable[str] = ()) -> None:
        """Make the overlay of what is known to differ.

        :param deadline: when to stop cutting files.
        :param needed: to be cut in any case.
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
            stamp = None if forgotten.path(path) else self._stamp(path)
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
                files[path] = known.file  # of a moment ago, which is better than HEAD's
            texts += files[path] is not None
        self._known = {path: known for path, known in self._known.items() if path in files}
        if files != self._overlay.files:
            self._overlay = Overlay(files)

    def _stamp(self, path: str) -> _Stamp | None:
        """What changes when a file is written; ``None`` where there is no file to read."""
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
        """Wait for no answer any more."""
        self._status.close()


def _stamp_of(facts: os.stat_result) -> _Stamp:
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino
