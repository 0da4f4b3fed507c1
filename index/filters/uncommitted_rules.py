"""Applies the rule files of the worktree, so that a newly excluded file disappears before the next
commit."""

from __future__ import annotations

from collections.abc import Sequence

from git_copilot.index.core.safe_open import read_inside
from git_copilot.index.filters.rules import (
    MAX_RULES_BYTES,
    exclusion_reasons,
    fingerprint,
    is_rule_file,
)
from git_copilot.index.git.repository import GitRepository


class UncommittedRules:
    """Selects among the files that differ from HEAD. Caches the last result."""

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo
        self._key: object = None
        self._answer: tuple[list[str], frozenset[str]] = [], frozenset()

    def select(self, paths: Sequence[str]) -> tuple[list[str], frozenset[str]]:
        """The files to read from the worktree, and the committed files to hide.

        :param paths: the files that differ from HEAD.
        """
        if not paths:
            return [], frozenset()
        tree = self._repo.head_tree_or_empty()
        changed = {path: self._rules(path) for path in paths if is_rule_file(path)}
        key = (tree, tuple(paths), changed, fingerprint(self._repo))
        if key != self._key:
            self._answer = self._judge(tree, paths, changed)
            self._key = key
        return self._answer

    def _rules(self, path: str) -> bytes | None:
        """A rule file's text; ``None`` if it is deleted, or git would not read it."""
        root = self._repo.root
        found = read_inside(root, path, MAX_RULES_BYTES + 1) if root is not None else None
        return found[0] if found and len(found[0]) <= MAX_RULES_BYTES else None

    def _judge(
        self, tree: str, paths: Sequence[str], changed: dict[str, bytes | None]
    ) -> tuple[list[str], frozenset[str]]:
        if not changed:
            out = exclusion_reasons(self._repo, tree, paths)
            return [path for path in paths if path not in out], frozenset()
        entries = self._repo.ls_tree(tree)
        committed = [entry.path for entry in entries]
        before = exclusion_reasons(self._repo, tree, committed, entries)
        now = exclusion_reasons(self._repo, tree, [*paths, *committed], entries, changed)
        taken_in = [path for path in committed if path in before and path not in now]
        seen = dict.fromkeys(path for path in (*paths, *taken_in) if path not in now)
        return list(seen), frozenset(path for path in now if path not in before)
