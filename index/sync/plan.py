"""Plans a sync: which paths to add and remove. Pure but for reading trees."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.types import (
    TreeChange,
    TreeEntry,
)
from git_copilot.index.filters import rules
from git_copilot.index.git.objects import FOLDER
from git_copilot.index.git.repository import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.store import views
from git_copilot.index.store.contents import BlobKey
from git_copilot.index.store.database import Database
from git_copilot.index.store.forget import Forgotten
from git_copilot.index.text.classify import (
    language_of,
)

# The language recorded for a folder whose tree is missing.
FOLDER_KEY = "tree"


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Changes to a view of the tree ``base``: paths to remove, and entries to add or replace."""

    base: str | None
    removed: tuple[str, ...]
    added: tuple[TreeEntry, ...]

    @property
    def keys(self) -> list[BlobKey]:
        """The distinct blobs of the added entries, in path order."""
        return list(dict.fromkeys(blob_key(entry) for entry in self.added))


def blob_key(entry: TreeEntry) -> BlobKey:
    """The key under which an entry's content is stored."""
    return entry.oid, FOLDER_KEY if entry.mode == FOLDER else language_of(entry.path)


def has_content(entry: TreeEntry) -> bool:
    """Whether an entry has content to index, or may have once its missing tree arrives."""
    return entry.mode not in (SUBMODULE, SYMLINK)


def plan_from_changes(base: str, changes: Iterable[TreeChange], out: Container[str]) -> SyncPlan:
    """The plan for the difference between the tree ``base`` and a newer one.

    :param out: excluded paths.
    """
    removed, added = [], []
    for change in changes:
        if change.new is not None and has_content(change.new) and change.path not in out:
            added.append(change.new)
        else:
            removed.append(change.path)
    return SyncPlan(base, tuple(removed), tuple(added))


def plan_from_tree(
    base: str | None,
    entries: Iterable[TreeEntry],
    known: Mapping[str, BlobKey],
    out: Container[str],
) -> SyncPlan:
    """The plan for a whole tree, given a view of ``base`` that contains ``known``.

    :param out: excluded paths.
    """
    wanted = {e.path: e for e in entries if has_content(e) and e.path not in out}
    added = tuple(e for e in wanted.values() if known.get(e.path) != blob_key(e))
    return SyncPlan(base, tuple(sorted(p for p in known if p not in wanted)), added)


def plan_sync(
    repo: GitRepository, db: Database, view: str, tree: str, *, fingerprint: str | None = None
) -> SyncPlan:
    """Plan the update of ``view`` to ``tree``: by the difference from its old tree, or by the whole
    tree if the old one is gone or the rules have changed.

    :param fingerprint: from :func:`rules.fingerprint`, if the caller has it.
    :raises GitError: the tree is missing.
    """
    fingerprint = rules.fingerprint(repo) if fingerprint is None else fingerprint
    old, made_with = views.view_state(db, view) or (None, "")
    if (old, made_with) == (tree, fingerprint):
        return SyncPlan(old, (), ())
    forgotten = Forgotten.load(db)
    changes = _changes(repo, old, tree) if made_with == fingerprint else None
    if old is not None and changes is not None:
        paths = [c.path for c in changes if c.new is not None and has_content(c.new)]
        out = set(rules.exclusion_reasons(repo, tree, paths)).union(
            filter(forgotten.covers_path, paths)
        )
        return plan_from_changes(old, changes, out)
    entries = repo.ls_tree(tree)
    paths = [e.path for e in entries if has_content(e)]
    out = set(rules.exclusion_reasons(repo, tree, paths, entries)).union(
        filter(forgotten.covers_path, paths)
    )
    return plan_from_tree(old, entries, views.view_files(db, view), out)


def _changes(repo: GitRepository, old: str | None, tree: str) -> list[TreeChange] | None:
    """The difference between two trees; ``None`` if a full comparison is needed."""
    if not old:
        return None
    try:
        changes = repo.diff_trees(old, tree)
    except GitError:  # the old tree is gone, or parts of either are missing
        return None
    return None if any(rules.is_rule_file(change.path) for change in changes) else changes
