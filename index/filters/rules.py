"""Finds the files of a tree that its `.gitattributes` and `.copilotignore` exclude from the index.

The rule files are taken from the tree, not from the working tree. git itself matches them, in a
temporary index in which `.copilotignore` appears as `.gitignore` (:mod:`.scratch_index`). No file
is created: trees may contain names that no file system takes, or that leave the folder.
(`check-attr --source`, which would suffice for attributes, needs git 2.40.)"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from git_copilot.index.core.types import TreeEntry
from git_copilot.index.git.objects import blob_id
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.scratch_index import open_scratch_index
from git_copilot.index.text.classify import skip_path
from git_copilot.index.text.secret_files import REASON as SECRET_FILE

ATTRIBUTES, IGNORE = ".gitattributes", ".copilotignore"
RULE_FILES = frozenset({ATTRIBUTES, IGNORE})
# Bump when other files of the same tree would be left out: views are then synced completely.
RULES_VERSION = 2  # 2: names that cannot be checked out are left out, and files of secrets
# For more paths than this, or longer ones in total, the whole tree is listed: that is cheaper than
# looking up each folder, and command lines are limited.
MAX_ASKED, MAX_ASKED_BYTES = 500, 1 << 16
# Larger rule files are ignored; git reads attributes up to 100 MB.
MAX_RULES_BYTES = 1 << 20
# The reason for paths that git refuses to check out; crafted trees may contain such.
UNSAFE = "unsafe name"
# The mode of a regular file; symbolic links are not followed.
_REGULAR = "100"
_NONE = MAX_RULES_BYTES + 1
_ASKED = ("copilot", "linguist-generated", "linguist-vendored", "binary")
_UNSAFE = re.compile(r"(?:^|/)(?:\.\.?|\.git)?(?:/|$)", re.IGNORECASE)


def fingerprint(repo: GitRepository) -> str:
    """Identifies the rules outside the tree: this module's version and ``info/attributes``."""
    private = _private_attributes(repo)
    return f"{RULES_VERSION}-{hashlib.sha256(private).hexdigest()[:16] if private else ''}"


def is_rule_file(path: str) -> bool:
    """Whether a change of ``path`` may exclude or include other files."""
    return posixpath.basename(path) in RULE_FILES


def is_safe_path(path: str) -> bool:
    """Whether git would check out a file with this name."""
    return not _UNSAFE.search(path)


def exclusion_reasons(
    repo: GitRepository,
    tree: str,
    paths: Sequence[str],
    entries: Iterable[TreeEntry] | None = None,
    changed: Mapping[str, bytes | None] | None = None,
) -> dict[str, str]:
    """The excluded ones among ``paths``, with the reason: ``generated``, ``vendored``, ``binary``,
    ``secret file``, ``attribute`` (``-copilot`` or ``copilot=false``), ``ignored`` or
    :data:`UNSAFE`.

    If the attribute ``copilot`` is set, files that are generated or vendored by name or attribute
    are included, and so are secret files, whose lines are then judged like those of other files.
    ``-linguist-generated`` and ``-linguist-vendored`` override a misleading name.

    :param entries: all files of ``tree``, if the caller has them.
    :param changed: rule files that replace the tree's; ``None`` for a deleted one.
    :raises GitError: the tree is missing.
    """
    reasons = {path: UNSAFE for path in paths if _UNSAFE.search(path)}
    judged = [path for path in paths if path not in reasons]
    if not judged:
        return reasons
    rules = _rule_files(repo, tree, judged, entries)
    texts = {}
    for path, text in (changed or {}).items():
        rules.pop(path, None)
        if text is not None:
            rules[path] = oid = blob_id(text, repo.object_format())
            texts[oid] = text
    private = _private_attributes(repo)
    if not rules and not private:
        by_name = ((path, skip_path(path)) for path in judged)
        return reasons | {path: reason for path, reason in by_name if reason is not None}
    ignores = any(_ignores(path) for path in rules)
    index = dict.fromkeys(judged) if ignores else {}
    with open_scratch_index(repo, {**index, **_as_git_reads(rules)}, private, texts) as git:
        attributes = git.attributes(_ASKED, judged)
        ignored = git.ignored() if ignores else frozenset()
    for path in judged:
        reason = _by_attributes(path, attributes.get(path, {}))
        if reason or path in ignored:
            reasons[path] = reason or "ignored"
    return reasons


def _by_attributes(path: str, given: Mapping[str, str]) -> str | None:
    wanted = _truth(given.get("copilot"))
    if wanted is False:
        return "attribute"
    if given.get("binary") == "set":
        return "binary"
    if wanted:
        return None
    by_name = skip_path(path)
    if by_name == SECRET_FILE:
        return by_name
    for reason in ("vendored", "generated"):
        said = _truth(given.get(f"linguist-{reason}"))
        if said or (said is None and by_name == reason):
            return reason
    return None


def _truth(value: str | None) -> bool | None:
    """An attribute's value as a boolean; ``None`` if it is unspecified."""
    if value is None or value == "unspecified":
        return None
    return value not in ("unset", "false")


def _ignores(path: str) -> bool:
    return posixpath.basename(path) == IGNORE


def _private_attributes(repo: GitRepository) -> bytes:
    try:
        return (repo.common_dir / "info" / "attributes").read_bytes()
    except OSError:
        return b""


def _rule_files(
    repo: GitRepository, tree: str, paths: Sequence[str], entries: Iterable[TreeEntry] | None
) -> dict[str, str]:
    """The rule files that may apply to ``paths``, by path, with their object ids; missing objects
    are ignored."""
    if entries is None:
        asked: list[str] = []
        if len(paths) <= MAX_ASKED:
            folders = {folder for path in paths for folder in _parents(path)}
            asked = sorted(f"{f}{name}" for f in folders for name in RULE_FILES)
        few = asked and sum(map(len, asked)) <= MAX_ASKED_BYTES
        entries = repo.entries(tree, asked) if few else repo.ls_tree(tree)
    wanted = {
        entry.path: entry.oid
        for entry in entries
        if is_rule_file(entry.path)
        and entry.mode.startswith(_REGULAR)
        and not _UNSAFE.search(entry.path)
    }
    sizes = repo.blob_sizes(set(wanted.values()))
    return {path: oid for path, oid in wanted.items() if sizes.get(oid, _NONE) <= MAX_RULES_BYTES}


def _as_git_reads(rules: Mapping[str, str]) -> dict[str, str]:
    """Rule files under the names by which git reads them."""
    return {
        posixpath.join(posixpath.dirname(path), ".gitignore") if _ignores(path) else path: oid
        for path, oid in rules.items()
    }


def _parents(path: str) -> Iterator[str]:
    """Every folder above ``path``, with a trailing slash; the empty string is the root."""
    yield ""
    for at, char in enumerate(path):
        if char == "/":
            yield path[: at + 1]
