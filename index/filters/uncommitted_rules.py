"""What the rule files say as they lie in the worktree: who has just excluded a file does not want
to see it until the next commit."""

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
    """Decides which files that differ from HEAD count. Remembers the last answer."""

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo
        self._key: object = None
        self._answer: tuple[list[str], frozenset[str]] = [], frozenset()

    def select(self, paths: Sequence[str]) -> tuple[list[str], frozenset[str]]:
        """Which files are to be read from the worktree, and which are not to be shown although
        they are committed.

        :param paths: what differs from HEAD.
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
        """A rule file's text; ``None`` where it is gone, or is none that git would read."""
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
