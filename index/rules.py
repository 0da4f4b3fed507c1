"""Which files of a tree its own `.gitattributes` and `.copilotignore` leave out of the index.

The files count as the tree has them, not as the working tree does. Git itself matches them: they
are laid out in an empty repository, `.copilotignore` as `.gitignore`, and `git check-attr` and
`git check-ignore` are asked there. (`check-attr --source`, which would do for attributes, came
with git 2.40.)
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from git_copilot.index.classify import skip_path
from git_copilot.index.errors import GitError
from git_copilot.index.git import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.objects import make_bare
from git_copilot.index.secret_files import REASON as SECRET_FILE
from git_copilot.index.types import TreeEntry

ATTRIBUTES, IGNORE = ".gitattributes", ".copilotignore"
RULE_FILES = frozenset({ATTRIBUTES, IGNORE})
# Bump when other files would be left out of the same tree: views are compared anew.
RULES_VERSION = 2
# Of more paths than this the whole tree is listed: cheaper than asking for each of their folders.
MAX_ASKED = 500
# A rule file larger than this is none; git reads attributes up to 100 MB.
MAX_RULES_BYTES = 1 << 20
_ASKED = ("copilot", "linguist-generated", "linguist-vendored", "binary")
# Nobody's attributes but the repository's: an index must not depend on who made it.
_SETTINGS = "\tbare = false\n\tattributesFile = /dev/null\n\texcludesFile = /dev/null\n"


def fingerprint(repo: GitRepository) -> str:
    """Names what decides besides the tree: this module's version and ``info/attributes``."""
    private = _private_attributes(repo)
    return f"{RULES_VERSION}-{hashlib.sha256(private).hexdigest()[:16] if private else ''}"


def is_rule_file(path: str) -> bool:
    """Whether a change of ``path`` may leave other files out, or take them in."""
    return posixpath.basename(path) in RULE_FILES


def left_out(
    repo: GitRepository,
    tree: str,
    paths: Sequence[str],
    entries: Iterable[TreeEntry] | None = None,
) -> dict[str, str]:
    """Those of ``paths`` that are not to be known, with the reason: ``generated``, ``vendored``,
    ``binary``, ``secret file``, ``attribute`` (``-copilot`` or ``copilot=false``) or ``ignored``.

    The attribute ``copilot``, set, takes in what is generated or vendored by name or attribute, and
    files of secrets, whose lines are judged as those of others;
    ``-linguist-generated`` and ``-linguist-vendored`` say that the name misleads.

    :param entries: all files of ``tree``, if the caller has them at hand.
    :raises GitError: the tree is not here.
    """
    if not paths:
        return {}
    if entries is None and len(paths) > MAX_ASKED:
        entries = repo.ls_tree(tree)
    rules = _rule_files(repo, tree, paths, entries)
    private = _private_attributes(repo)
    if not rules and not private:
        return {path: reason for path in paths if (reason := skip_path(path)) is not None}
    with tempfile.TemporaryDirectory(prefix="git-copilot-") as folder:
        shadow = _lay_out(Path(folder), rules, private)
        feed = b"".join(os.fsencode(path) + b"\0" for path in paths)
        attributes = _attributes(shadow, feed)
        ignored = _ignored(shadow, feed) if any(_ignores(path) for path in rules) else frozenset()
    reasons = {}
    for path in paths:
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
    """What an attribute's value says; ``None`` when it says nothing."""
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
) -> dict[str, bytes]:
    """The rule files that have a say in ``paths``, by path; those that are not here say nothing."""
    if entries is None:
        folders = {folder for path in paths for folder in _parents(path)}
        entries = repo.entries(tree, sorted(f"{f}{name}" for f in folders for name in RULE_FILES))
    wanted = {
        entry.path: entry.oid
        for entry in entries
        if is_rule_file(entry.path) and entry.mode not in (SUBMODULE, SYMLINK) and _safe(entry.path)
    }
    if not wanted:
        return {}
    sizes = repo.blob_sizes(set(wanted.values()))
    small = sorted(oid for oid, size in sizes.items() if size <= MAX_RULES_BYTES)
    contents = dict(repo.blobs(small))
    return {path: contents[oid] for path, oid in wanted.items() if oid in contents}


def _parents(path: str) -> Iterator[str]:
    """Every folder above ``path``, ended by a slash; the empty one is the root."""
    yield ""
    for at, char in enumerate(path):
        if char == "/":
            yield path[: at + 1]


def _safe(path: str) -> bool:
    """Whether a path may be written below a folder: trees made by hand may hold others."""
    return all(part not in ("", ".", "..") and part.lower() != ".git" for part in path.split("/"))


def _lay_out(folder: Path, rules: Mapping[str, bytes], private: bytes) -> GitRepository:
    """A repository whose working tree has nothing but the rule files."""
    git_dir, root = folder / "git", folder / "tree"
    make_bare(git_dir, "sha1", _SETTINGS)
    if private:
        (git_dir / "info").mkdir()
        (git_dir / "info" / "attributes").write_bytes(private)
    root.mkdir()
    for path, content in rules.items():
        target = root / posixpath.dirname(path) / (".gitignore" if _ignores(path) else ATTRIBUTES)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return GitRepository(git_dir, git_dir, root, {"GIT_ATTR_NOSYSTEM": "1"})


def _attributes(shadow: GitRepository, feed: bytes) -> dict[str, dict[str, str]]:
    """The attributes asked for, by path and name, where they are specified."""
    fields = shadow.run("check-attr", "-z", "--stdin", *_ASKED, stdin=feed).split(b"\0")
    found: dict[str, dict[str, str]] = {}
    for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if value != b"unspecified":
            found.setdefault(os.fsdecode(path), {})[name.decode()] = os.fsdecode(value)
    return found


def _ignored(shadow: GitRepository, feed: bytes) -> Collection[str]:
    """The paths that are ignored."""
    # A path that begins with a colon would be read as a pattern.
    dotted = b"".join(b"./" + path + b"\0" for path in feed.split(b"\0") if path)
    code, out, message = shadow.try_run("check-ignore", "--no-index", "-z", "--stdin", stdin=dotted)
    if code not in (0, 1):  # 1: none is
        raise GitError(f"git check-ignore failed: {message.removeprefix('fatal: ')}")
    return {os.fsdecode(path[2:]) for path in out.split(b"\0") if path}
