"""Texts that an editor has open, laid over an overlay as if they stood in their files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from git_copilot.index.core.safe_open import read_inside
from git_copilot.index.filters import rules
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.overlay import Overlay, UncommittedFile, chunk_uncommitted
from git_copilot.index.store import allowed_lines
from git_copilot.index.store.database import Database
from git_copilot.index.store.forget import Forgotten
from git_copilot.index.text.classify import MAX_FILE_BYTES
from git_copilot.index.text.partial_text import text_above, text_below

# Editors have more open; the last ones are the nearest.
MAX_TEXTS = 32
# Verdicts on paths that are kept.
MAX_KNOWN = 1000


class OpenTexts:
    """Lays open texts over what is not committed in one worktree.

    What the index leaves out by a rule is left out here as well. A text that stands in its file as
    it is, in whole or in part, changes nothing: it is found there. Another one takes the place of
    its file, or of the part of it between its own first and last lines.
    """

    def __init__(self, repo: GitRepository, db: Database) -> None:
        self._repo, self._db = repo, db
        self._format = ""
        self._tree = ""
        self._indexable: dict[str, bool] = {}
        self._tracked: dict[str, bool] = {}

    def over(self, overlay: Overlay, texts: Sequence[tuple[str, str]], tree: str) -> Overlay:
        """``overlay`` with ``texts``, which are pairs of a path and a text.

        :param texts: paths are absolute, or relative to the top of the worktree.
        :param tree: the tree that the index stands for.
        """
        if self._repo.root is None or not texts:
            return overlay
        if tree != self._tree or len(self._indexable) > MAX_KNOWN:
            self._tree = tree
            self._indexable.clear()
            self._tracked.clear()
        self._format = self._format or self._repo.object_format()
        forgotten, allowed = Forgotten.load(self._db), allowed_lines.load(self._db)
        files = dict(overlay.files)
        for name, text in texts[-MAX_TEXTS:]:
            path = self._relative(name)
            if path is None or len(text) > MAX_FILE_BYTES or not text.strip():
                continue
            plain = text.replace("\r\n", "\n")
            if forgotten.covers_path(path) or not self._may_index(path):
                continue
            saved = self._saved(path)
            if plain in saved:
                continue
            whole = text_above(plain, saved) + plain + text_below(plain, saved)
            files[path] = _chunked(path, whole, self._format, allowed)
        return Overlay(files)

    def _relative(self, name: str) -> str | None:
        """The path in the worktree; ``None`` if the text belongs elsewhere."""
        root = self._repo.root
        assert root is not None
        path = Path(name)
        if path.is_absolute():
            if not path.is_relative_to(root):
                return None
            path = path.relative_to(root)
        relative = path.as_posix()
        return relative if rules.is_safe_path(relative) and relative != "." else None

    def _may_index(self, path: str) -> bool:
        known = self._indexable.get(path)
        if known is None:
            known = not rules.exclusion_reasons(self._repo, self._tree, [path])
            self._indexable[path] = known
        return known

    def _saved(self, path: str) -> str:
        """The text of a tracked file. No other file is read."""
        assert self._repo.root is not None
        tracked = self._tracked.get(path)
        if tracked is None:
            tracked = self._tracked[path] = self._repo.entry(self._tree, path) is not None
        read = read_inside(self._repo.root, path, MAX_FILE_BYTES) if tracked else None
        return "" if read is None else read[0].replace(b"\r\n", b"\n").decode("utf-8", "replace")


@lru_cache(maxsize=2 * MAX_TEXTS)
def _chunked(path: str, text: str, object_format: str, allowed: frozenset[str]) -> UncommittedFile:
    return chunk_uncommitted(path, text.encode("utf-8", "replace"), object_format, allowed)
