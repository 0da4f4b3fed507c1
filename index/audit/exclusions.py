"""Explains whether a path is indexed and which rule excludes it; counts excluded files by reason.

A reason is a word or two, given by the rule; :data:`MEANINGS` explains the known ones.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_copilot.index.core.errors import GitError
from git_copilot.index.filters import rules
from git_copilot.index.git.objects import FOLDER
from git_copilot.index.git.repository import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.store import views
from git_copilot.index.store.contents import MISSING
from git_copilot.index.store.database import Database
from git_copilot.index.store.forget import REASON, Forgotten
from git_copilot.index.text.chunking import WINDOW
from git_copilot.index.text.classify import (
    MAX_FILE_BYTES,
    MAX_LINE,
    language_of,
    long_lines,
    skip_content,
    to_utf8,
)
from git_copilot.index.text.parsing import has_grammar
from git_copilot.index.text.secret_files import REASON as SECRET_FILE

LINK, MODULE, IN_FOLDER = "symbolic link", "submodule", "folder"
NO_FILE, UNTRACKED = "no such file", "git-ignored"
SHOWN_LINES = 5
# Reasons that exclude hand-written files because of a limit: worth a warning if there are many.
LIMITS = frozenset({"large", "long lines", MISSING})
_ATTRIBUTE = "add `{path} copilot` to .gitattributes and commit it"
# The meaning of each reason, and how to include the file; empty if that is impossible.
MEANINGS = {
    "vendored": ("it is in a folder of third-party code, or marked so by an attribute", _ATTRIBUTE),
    "generated": ("its name or an attribute marks it as generated", _ATTRIBUTE),
    SECRET_FILE: ("files with this name contain passwords or keys", _ATTRIBUTE),
    "attribute": (
        "the attribute -copilot is set in .gitattributes",
        "remove the attribute and commit",
    ),
    "ignored": ("a pattern in .copilotignore excludes it", "change .copilotignore and commit it"),
    "binary": ("it has a NUL byte, or the attribute binary", ""),
    "large": (f"it is larger than {MAX_FILE_BYTES >> 10} KiB", "split the file"),
    "lfs": ("it is a pointer of Git LFS, not the file", ""),
    "empty": ("it is empty", ""),
    "long lines": (
        f"most of its content is in lines of over {MAX_LINE:,} bytes, or it has few lines for its size",
        "break its lines",
    ),
    MISSING: (
        "the object is missing: a partial clone has not fetched it",
        "`git fetch --refetch --no-filter`",
    ),
    REASON: ("you asked to forget it", "`git copilot forget --undo {path}`"),
    rules.UNSAFE: ("git refuses to check out a file with this name", ""),
    LINK: ("links are not followed; the target is indexed under its own path", ""),
    MODULE: ("it is a separate repository", "`git copilot init` in it"),
    IN_FOLDER: ("it is a folder, not a file", ""),
    NO_FILE: ("neither HEAD nor the worktree has such a file", ""),
    UNTRACKED: ("it is not committed, and .gitignore excludes it", "`git add -f {path}`"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the index treats a path. ``reason`` is ``None`` if it is indexed."""

    path: str
    reason: str | None
    committed: bool
    chunks: int = 0
    long_lines: tuple[int, ...] = ()
    secrets: int = 0
    by_lines: bool = False

    @property
    def meaning(self) -> str:
        """An explanation of the reason."""
        return MEANINGS.get(self.reason or "", ("a rule excludes it", ""))[0]

    @property
    def remedy(self) -> str:
        """How to include the file; empty if that is impossible or not needed."""
        return MEANINGS.get(self.reason or "", ("", ""))[1].replace("{path}", self.path)

    def lines(self) -> list[str]:
        """The verdict as text."""
        if self.reason is not None:
            remedy = f"; to include it: {self.remedy}" if self.remedy else ""
            return [f"{self.path}: excluded ({self.reason}): {self.meaning}{remedy}"]
        state = f"indexed, {self.chunks} chunks" if self.committed else "searched, not committed"
        said = [f"{self.path}: {state}"]
        if self.long_lines:
            numbers = ", ".join(map(str, self.long_lines[:SHOWN_LINES]))
            more = ", ..." if len(self.long_lines) > SHOWN_LINES else ""
            said.append(f"  excluded from it: lines of over {MAX_LINE:,} bytes ({numbers}{more})")
        if self.secrets:
            said.append(f"  excluded from it: {self.secrets} lines that look like secrets")
        if self.by_lines:
            said.append("  cut by lines: too expensive to parse, or too many syntax errors")
        return said

    def fields(self) -> dict[str, Any]:
        """The verdict as a JSON object."""
        return {
            "path": self.path,
            "indexed": self.reason is None,
            "reason": self.reason,
            "meaning": self.meaning if self.reason is not None else None,
            "remedy": self.remedy or None,
            "committed": self.committed,
            "chunks": self.chunks,
            "long_lines": list(self.long_lines),
            "secrets": self.secrets,
            "by_lines": self.by_lines,
        }


def explain_path(repo: GitRepository, db: Database, path: str) -> Verdict:
    """Explain how the index treats a path: as in HEAD, or in the worktree if HEAD has no such file.
    Folders have no verdict of their own.

    :raises GitError: git cannot read HEAD.
    """
    tree = repo.head_tree_or_empty()
    # A path inside a submodule does not belong to this repository.
    entry = next(iter(repo.entries(tree, [path])), None) if rules.is_safe_path(path) else None
    committed = entry is not None and entry.mode != FOLDER
    if Forgotten.load(db).covers_path(path):
        return Verdict(path, REASON, committed)
    if entry is not None and entry.mode in (SYMLINK, SUBMODULE):
        return Verdict(path, LINK if entry.mode == SYMLINK else MODULE, committed)
    if entry is None:
        return _uncommitted(repo, tree, path)
    if entry.mode == FOLDER:
        return Verdict(path, IN_FOLDER, committed=False)
    reason = rules.exclusion_reasons(repo, tree, [path]).get(path)
    if reason is not None:
        return Verdict(path, reason, committed)
    size = repo.blob_sizes([entry.oid]).get(entry.oid)
    if size is None:
        return Verdict(path, MISSING, committed)
    if size > MAX_FILE_BYTES:
        return Verdict(path, "large", committed)
    content = to_utf8(repo.read_blob(entry.oid))
    return _by_content(db, path, entry.oid, content)


def _uncommitted(repo: GitRepository, tree: str, path: str) -> Verdict:
    """The verdict for a path that is not in HEAD's tree."""
    name = (repo.root or repo.git_dir) / path
    if repo.root is None or not rules.is_safe_path(path):
        return Verdict(path, NO_FILE, committed=False)
    try:
        facts = name.lstat()
        if not stat.S_ISREG(facts.st_mode):
            kinds = {stat.S_IFLNK: LINK, stat.S_IFDIR: IN_FOLDER}
            kind = kinds.get(stat.S_IFMT(facts.st_mode), NO_FILE)
            return Verdict(path, kind, committed=False)
        tracked = repo.try_run("--literal-pathspecs", "ls-files", "--error-unmatch", "--", path)
        if tracked[0] and repo.try_run("check-ignore", "-q", "--", f"./{path}")[0] == 0:
            return Verdict(path, UNTRACKED, committed=False)
        reason = rules.exclusion_reasons(repo, tree, [path]).get(path)
        if reason is None and facts.st_size > MAX_FILE_BYTES:
            reason = "large"
        if reason is None:
            content = to_utf8(name.read_bytes())
            reason = skip_content(content)
    except OSError:
        return Verdict(path, NO_FILE, committed=False)
    if reason is not None:
        return Verdict(path, reason, committed=False)
    return Verdict(path, None, committed=False, long_lines=tuple(sorted(long_lines(content))))


def _by_content(db: Database, path: str, oid: str, content: bytes) -> Verdict:
    reason = skip_content(content)
    if reason is not None:
        return Verdict(path, reason, committed=True)
    language = language_of(path)
    rows = db.query(
        "SELECT b.secrets, count(c.id), coalesce(min(c.kind = ?), 0) FROM blobs b"
        " LEFT JOIN chunks c ON c.blob_id = b.id WHERE b.oid = ? AND b.language = ? GROUP BY b.id",
        (WINDOW, oid, language),
    )
    secrets, chunks, windows = (int(str(value)) for value in rows[0]) if rows else (0, 0, 0)
    long = tuple(sorted(long_lines(content)))
    by_lines = bool(windows) and has_grammar(language)
    return Verdict(path, None, True, chunks, long, secrets, by_lines)


def count_left_out(repo: GitRepository, db: Database, view: str) -> dict[str, int]:
    """The number of excluded files in the tree of ``view``, by reason, largest first. Empty if the
    tree is missing."""
    tree = views.view_tree(db, view)
    if not tree:
        return {}
    try:
        entries = repo.ls_tree(tree)
    except GitError:
        return {}
    files = [e for e in entries if e.mode not in (SYMLINK, SUBMODULE)]
    found = rules.exclusion_reasons(repo, tree, [e.path for e in files], entries)
    forgotten = Forgotten.load(db)
    counts = Counter({LINK: 0, MODULE: 0})
    counts.update(REASON if forgotten.covers_path(e.path) else found.get(e.path, "") for e in files)
    counts[LINK] = sum(e.mode == SYMLINK for e in entries)
    counts[MODULE] = sum(e.mode == SUBMODULE for e in entries)
    del counts[""]
    rows = db.query(
        "SELECT b.skipped, count(*) FROM views v JOIN files f ON f.view_id = v.id"
        " JOIN blobs b ON b.id = f.blob_id WHERE v.name = ? AND b.skipped IS NOT NULL GROUP BY 1",
        (view,),
    )
    counts.update({str(reason): int(str(number)) for reason, number in rows})
    return {reason: number for reason, number in counts.most_common() if number}


def repository_path(repo: GitRepository, given: str, below: str | Path) -> str:
    """Convert a path given in the folder ``below`` to a path of the repository; a path outside of
    it is returned unchanged."""
    if repo.root is None:
        return given
    place = os.path.relpath(os.path.normpath(Path(below, given)), repo.root)
    return given if place.startswith(os.pardir + os.sep) else place.replace(os.sep, "/")
