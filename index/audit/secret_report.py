"""Lists everything in a tree or a worktree that was left out because it looks like a secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from git_copilot.index.core.safe_open import read_inside
from git_copilot.index.filters import rules
from git_copilot.index.git.repository import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.search.worktree_status import uncommitted_paths_in_time
from git_copilot.index.secrets.detectors import PRIVATE_KEY
from git_copilot.index.secrets.scan import SecretFinding, find_secrets, fingerprint
from git_copilot.index.store.allowed_lines import Allowed
from git_copilot.index.store.database import Database
from git_copilot.index.text.classify import MAX_FILE_BYTES, language_of, skip_content, to_utf8
from git_copilot.index.text.secret_files import REASON

MASK = "***"


@dataclass(frozen=True, slots=True)
class ExcludedSecret:
    """A line that looks like a secret; ``line`` is 1-based, or 0 for a file that is left out by its
    name. ``masked`` is the line with the secret replaced by :data:`MASK`, ``lines`` are the numbers
    and fingerprints of all its lines (a private key has several)."""

    path: str
    line: int
    kind: str
    masked: str
    lines: tuple[tuple[int, str], ...] = ()
    allowed: bool = False


def excluded_secrets(
    repo: GitRepository, db: Database, allowed: Allowed, *, uncommitted: bool = False
) -> Iterator[ExcludedSecret]:
    """Everything in HEAD's tree that looks like a secret, by path and line, including ``allowed``
    lines.

    :param uncommitted: examine the uncommitted files of the worktree instead.
    :raises GitError: the tree is missing.
    """
    tree = repo.head_tree_or_empty()
    if uncommitted:
        yield from _loose(repo, tree, allowed)
        return
    listed = repo.ls_tree(tree)
    entries = [e for e in listed if e.mode not in (SUBMODULE, SYMLINK)]
    out = rules.exclusion_reasons(repo, tree, [e.path for e in entries], listed)
    yield from (ExcludedSecret(e.path, 0, REASON, "") for e in entries if out.get(e.path) == REASON)
    # Most files are known to have none.
    clear = set(
        db.query(
            "SELECT oid, language FROM blobs WHERE secrets = 0 AND allowed = 0"
            " AND (skipped IS NULL OR skipped != 'missing')"
        )
    )
    asked = [e for e in entries if e.path not in out and (e.oid, language_of(e.path)) not in clear]
    sizes = repo.blob_sizes({e.oid for e in asked})
    asked = [e for e in asked if 0 < sizes.get(e.oid, 0) <= MAX_FILE_BYTES]
    for entry, (_, data) in zip(asked, repo.blobs(e.oid for e in asked), strict=True):
        yield from secrets_in_text(entry.path, data, allowed)


def _loose(repo: GitRepository, tree: str, allowed: Allowed) -> Iterator[ExcludedSecret]:
    paths = uncommitted_paths_in_time(repo)
    out = rules.exclusion_reasons(repo, tree, paths) if paths else {}
    for path in paths:
        read = read_inside(repo.root or repo.git_dir, path, MAX_FILE_BYTES + 1)
        if read is None or len(read[0]) > MAX_FILE_BYTES:
            continue
        if out.get(path) == REASON:
            yield ExcludedSecret(path, 0, REASON, "")
        elif path not in out:
            yield from secrets_in_text(path, read[0], allowed)


def secrets_in_text(path: str, data: bytes, allowed: Allowed) -> Iterator[ExcludedSecret]:
    """Everything that looks like a secret in a file's content, by line."""
    content = to_utf8(data)
    if skip_content(content) is not None:
        return
    text = content.decode("utf-8", "replace")
    lines = text.split("\n")
    by_line: dict[int, list[SecretFinding]] = {}
    for finding in find_secrets(text, language=language_of(path)):
        by_line.setdefault(finding.line, []).append(finding)
    numbers = sorted(by_line)
    while numbers:
        first = numbers.pop(0)
        group = [first]
        while numbers and numbers[0] == group[-1] + 1 and _goes_on(by_line, numbers[0]):
            group.append(numbers.pop(0))
        marks = tuple((n, fingerprint(lines[n - 1])) for n in group)
        yield ExcludedSecret(
            path,
            first,
            by_line[first][0].kind,
            _masked(lines[first - 1], by_line[first]),
            marks,
            all(mark in allowed for _, mark in marks),
        )


def _goes_on(by_line: dict[int, list[SecretFinding]], number: int) -> bool:
    """Whether a line and the one before it belong to the same private key."""
    both = (by_line[number - 1], by_line[number])
    return all(found[0].kind == PRIVATE_KEY for found in both)


def _masked(line: str, found: list[SecretFinding]) -> str:
    text, end = "", 0
    for finding in found:
        if finding.start >= end:
            text += line[end : finding.start] + MASK
        end = max(end, finding.end)
    return (text + line[end:]).strip()
