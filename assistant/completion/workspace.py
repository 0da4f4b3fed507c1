"""One worktree with its database and search, kept open between requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.core.missing_history import ask_for_mining
from git_copilot.index.core.errors import DiskFull, ReadOnlyDatabase
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import require_trusted
from git_copilot.index.store import allowed_lines, views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.revisit import Stamp, is_due, stamp
from git_copilot.index.text.classify import language_of

if TYPE_CHECKING:
    from git_copilot.assistant.api.requests import OpenText
    from git_copilot.assistant.decoding.generation import Members
    from git_copilot.index.core.types import Embedder, Hit
    from git_copilot.index.search.cochange import CoChange
    from git_copilot.index.search.code_search import CodeSearch
    from git_copilot.index.search.edited_file import EditedFile
    from git_copilot.index.search.member_lookup import MemberLookup
    from git_copilot.index.search.open_texts import OpenTexts
    from git_copilot.index.search.overlay import Overlay
    from git_copilot.index.search.worktree import Worktree

# A catch-up of more blobs than this is left to the worker, and the answer says it is not fresh.
MAX_CATCH_UP = 200
MAX_AT_VIEWS = 4
AT_PREFIX = "at/"
# Who asks for the same file again within so many seconds is typing there; and who begins to waits
# no longer than so many for what is not committed.
TYPING_SECONDS, BEGIN_SECONDS = 2.0, 0.3
# Hits that differ from HEAD make room for others, which are judged in turn.
MAX_JUDGED = 3


class Workspace:
    """One worktree with its database and search, kept open."""

    def __init__(self, repo: GitRepository) -> None:
        require_trusted(repo.state_dir)
        self.repo = repo
        self.db = Database(repo.state_dir / DATABASE_NAME)
        self._inode = self._stamp()
        self._searchers: dict[str, tuple[str, CodeSearch]] = {}
        self._lookups: dict[str, MemberLookup] = {}
        self._worktree: Worktree | None = None
        self._typed = ("", float("-inf"))  # a file, and when it was asked for
        self._patience = 0.0
        self._together: CoChange | None = None
        self._asked_at: Stamp | None = None  # when the worker was last asked to mine
        self._tip = ("", "")  # a tree, and the commit that was HEAD when it was shown
        self._open_texts: OpenTexts | None = None
        self._told = ""
        self._format = ""
        self.settings = Settings()

    def read_settings(self, note: Callable[[str], None] | None) -> None:
        """Read the settings again; ``note`` is called once for invalid values in ``.gitcopilot``."""
        told: list[str] = []
        self.settings = load_settings(self.repo, warn=told.append)
        if note is not None and told and told[0] != self._told:
            self._told = told[0]
            note(told[0])

    def _stamp(self) -> int:
        try:
            facts = self.db.path.stat()
        except FileNotFoundError:
            return 0
        return facts.st_ino if facts.st_size else 0

    @property
    def current(self) -> bool:
        """False once the database was rebuilt, emptied or removed under us, and while a full disk
        keeps us from seeing what others write."""
        return self._inode == self._stamp() and self.db.sees_all_writes

    def searcher(self, embedder: Embedder | None, view: str) -> CodeSearch:
        """The search of a view, with its vectors loaded."""
        from git_copilot.index.embedding.vectors import load_vectors
        from git_copilot.index.search.code_search import CodeSearch

        name = embedder.name if embedder else ""
        held = self._searchers.get(view)
        if held is None or held[0] != name:
            vectors = load_vectors(self.db, self.repo.state_dir, embedder)
            held = (name, CodeSearch(self.db, view, vectors))
            self._searchers[view] = held
        return held[1]

    def partners(self, commit: str | None, tree: str, path: str) -> Mapping[str, float]:
        """The files that change with ``path`` in the history of ``commit`` (``None``: of HEAD,
        which is looked up when ``tree``, the one that is shown, is another)."""
        from git_copilot.index.search.cochange import CoChange

        self._together = self._together or CoChange(self.repo)
        if commit is None and self._tip[0] != tree:
            self._tip = tree, self.repo.head_commit() or ""
        return self._together.partners(commit or self._tip[1], path)

    def look(self, file: str = "") -> None:
        """Begin to look at what is not committed; :meth:`find` takes it into account.

        :param file: the one that a completion is for; empty where somebody waits for the answer.
        """
        from git_copilot.index.search import worktree

        self._worktree = self._worktree or worktree.Worktree(self.repo, self.db)
        now = time.monotonic()
        typing = bool(file) and self._typed[0] == file and now - self._typed[1] < TYPING_SECONDS
        self._typed = file, now
        begun = BEGIN_SECONDS if file else worktree.PATIENT_SECONDS
        self._patience = worktree.TYPING_SECONDS if typing else begun
        self._worktree.begin(typing=typing)

    def with_edited(self, overlay: Overlay, file: EditedFile) -> Overlay:
        """``overlay`` with what of the edited file a prompt does not show."""
        self._format = self._format or self.repo.object_format()
        return file.added_to(overlay, self._format, allowed_lines.load(self.db))

    def with_open(self, overlay: Overlay, texts: Sequence[OpenText]) -> Overlay:
        """``overlay`` with the texts that an editor has open."""
        from git_copilot.index.search.open_texts import OpenTexts

        if not texts:
            return overlay
        self._open_texts = self._open_texts or OpenTexts(self.repo, self.db)
        tree = views.view_tree(self.db, self.repo.view_name) or self.repo.head_tree_or_empty()
        return self._open_texts.over(overlay, [(each.path, each.text) for each in texts], tree)

    def members(
        self, prefix: str, suffix: str, path: str, view: str, overlay: Overlay
    ) -> Members | None:
        """The names that may stand at the cursor, where a member of a known module or of the class
        around it is asked for; ``None`` elsewhere."""
        from git_copilot.assistant.decoding.generation import Members
        from git_copilot.assistant.prompt.accessed_names import accessed
        from git_copilot.index.search.member_lookup import MemberLookup

        access = accessed(prefix, suffix, path) if language_of(path) == "python" else None
        if access is None:
            return None
        if view not in self._lookups:
            self._lookups[view] = MemberLookup(self.db, view, self.repo.root)
        lookup = self._lookups[view]
        names = list(access.members)
        for each in access.classes:
            names += lookup.of_class(each, overlay)
        for module in access.modules:
            names += lookup.of_module(module, overlay)
        return Members(tuple(dict.fromkeys(names)), access.begun) if names else None

    def find(
        self, search: Callable[[Overlay], list[Hit]], edited: str = ""
    ) -> tuple[list[Hit], Overlay, bool]:
        """What ``search`` finds in this worktree as it was when :meth:`look` was called, what
        lies over HEAD there, and whether that is all that does. What is shown is right in any
        case; what would have been found may be missing.

        :param edited: the path of a file whose unsaved text ``search`` looks at.
        """
        assert self._worktree is not None
        overlay = self._worktree.overlay(self._patience)
        hits = search(overlay)
        for _ in range(MAX_JUDGED):
            if not self._worktree.recheck(hit.path for hit in hits if hit.path != edited):
                break
            overlay = self._worktree.last_overlay
            hits = search(overlay)
        return hits, overlay, self._worktree.current

    def catch_up(self, embedder: Embedder | None, head: str = "") -> tuple[str, bool]:
        """Bring this worktree's view level with HEAD if that is quick.

        :param head: HEAD's tree, where it was looked up already.
        :return: the tree that the index stands for, and whether it is HEAD's.
        """
        from git_copilot.index.sync.plan import plan_sync
        from git_copilot.index.sync.sync import sync

        self._notice_fetched()
        view = self.repo.view_name
        head = head or self.repo.head_tree_or_empty()
        tree = views.view_tree(self.db, view) or ""
        if head == tree:
            return tree, True
        if len(plan_sync(self.repo, self.db, view, head).added) > MAX_CATCH_UP:
            return tree, False
        try:
            return sync(self.repo, self.db, embedder).tree, True
        except (DiskFull, ReadOnlyDatabase):  # what is known answers as well as it can
            return tree, False

    def _notice_fetched(self) -> None:
        """Have the worker look at what a fetch brought that was missing before, asked once."""
        if is_due(self.repo, self.db) and self._asked_at != (now := stamp(self.repo)):
            self._asked_at = now
            with suppress(OSError):  # a read-only repository
                ask_for_mining(self.repo)

    def view_at(self, commit: str, embedder: Embedder | None) -> tuple[str, str]:
        """A view of an older commit's tree: (view, tree). Only new blobs cost anything."""
        from git_copilot.index.sync.sync import sync

        tree = self.repo.resolve(f"{commit}^{{tree}}")
        if tree is None:
            from git_copilot.index.core.errors import GitError

            raise GitError(
                f"{commit!r} is not a commit of this repository", "`git log` lists commits"
            )
        view = f"{AT_PREFIX}{tree}"
        known = views.view_names(self.db, AT_PREFIX)
        for old in known[: max(0, len(known) - MAX_AT_VIEWS + 1)]:
            if old != view:
                views.drop_view(self.db, old)
                self._searchers.pop(old, None)
                self._lookups.pop(old, None)
        sync(self.repo, self.db, embedder, view=view, tree=tree)
        return view, tree

    def close(self) -> None:
        if self._worktree is not None:
            self._worktree.close()
        self.db.close()
