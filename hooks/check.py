"""Warns of secrets in staged changes: ``git-copilot-hook --secrets``.

Checks the index, not the working tree, since that is what will be committed. Never prints a secret.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from git_copilot.hooks.launch import recorded_interpreter
from git_copilot.index.core.errors import CopilotError, GitError
from git_copilot.index.core.escaping import printable, quote_path
from git_copilot.index.git.repository import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.git.trust import is_trusted
from git_copilot.index.secrets.detectors import PRIVATE_KEY
from git_copilot.index.secrets.scan import PRAGMA, SecretFinding, find_secrets, without_allowed
from git_copilot.index.store.allowed_lines import allowed_in
from git_copilot.index.text.classify import GENERATED_NAMES, SNIFF_BYTES

MODULE = "git_copilot.hooks.check"
REFUSE, HANDED_OVER = "--refuse", "--handed-over"
ACTIONS = ("warn", "refuse")
LIBRARY = "detect_secrets"
# Differs from any exit code of Python itself, which may fail to start the module.
FOUND = 67
# Scanned in a quarter of a second.
MAX_BYTES = 5 * 1024 * 1024
_HUNK = re.compile(rb"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_DIFF = ("diff", "--cached", "--no-renames", "--no-abbrev", "--no-color", "--no-ext-diff",
         "--no-textconv", "--diff-filter=AMT")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file whose content the commit changes; ``new``: it did not exist."""

    path: str
    blob: str
    new: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Print ``path:line: looks like a secret (KIND)`` for every added line that does.

    :param argv: ``--refuse``, which ``git config copilot.secrets refuse`` implies.
    :return: 0; when refusing, 1 if there are secrets or the check failed.
    """
    argv = sys.argv[1:] if argv is None else argv
    refuse = REFUSE in argv
    handed_over = HANDED_OVER in argv
    try:
        repo = GitRepository.discover()
        refuse |= not handed_over and _configured(repo) == "refuse"
        if importlib.util.find_spec(LIBRARY) is None:
            return _hand_over(repo, refuse=refuse, handed_over=handed_over)
        found = list(_added_secrets(repo))
    except CopilotError as exc:
        _say(f"git-copilot: the secret check failed: {exc}")
        return int(refuse)
    for path, finding in found:
        _say(f"{quote_path(path)}:{finding.line}: looks like a secret ({finding.kind})")
    if found:
        _say(
            f"git-copilot: remove it and `git add` again; if it is no secret, mark the line with "
            f"# {PRAGMA}, or run `git copilot secrets allow PATH:LINE`"
        )
    if handed_over:
        return FOUND if found else 0
    return int(refuse and bool(found))


def _configured(repo: GitRepository) -> str:
    action = repo.config("copilot").get("secrets", ACTIONS[0])
    if action not in ACTIONS:
        wanted = " or ".join(ACTIONS)
        _say(f"git-copilot: copilot.secrets is {action!r}, not {wanted}; using {ACTIONS[0]}")
    return action


def _hand_over(repo: GitRepository, *, refuse: bool, handed_over: bool) -> int:
    """Run the check with the interpreter that ``init`` recorded, if there is one."""
    ours = not handed_over and is_trusted(repo.state_dir)
    python = recorded_interpreter(repo.state_dir) if ours else None
    if python is not None:
        unset = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        done = subprocess.run(
            [python, "-P", "-m", MODULE, HANDED_OVER],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={name: value for name, value in os.environ.items() if name not in unset},
            check=False,
        )
        if done.returncode in (0, FOUND):
            sys.stdout.flush()
            sys.stdout.buffer.write(done.stdout)
            return int(refuse and done.returncode == FOUND)
    if not handed_over:
        _say(
            "git-copilot: no secret check: detect-secrets is not installed; add it to the hook's "
            "additional_dependencies, or run `git copilot init`"
        )
    return int(handed_over)


def _say(line: str) -> None:
    """Print a line, escaped for the terminal to which git or pre-commit passes it on."""
    sys.stdout.flush()
    sys.stdout.buffer.write(printable(line).encode() + b"\n")
    sys.stdout.buffer.flush()


def _added_secrets(repo: GitRepository) -> Iterator[tuple[str, SecretFinding]]:
    """Secrets on lines that the commit adds, one per line and one per private key."""
    staged = _staged(repo)
    sizes = repo.blob_sizes({file.blob for file in staged})
    small = [file for file in staged if sizes.get(file.blob, MAX_BYTES + 1) <= MAX_BYTES]
    blobs = dict(repo.blobs(dict.fromkeys(file.blob for file in small)))
    allowed = allowed_in(repo)
    for file in small:
        data = blobs[file.blob]
        if b"\0" in data[:SNIFF_BYTES]:
            continue
        text = data.decode("utf-8", "replace")
        findings = find_secrets(text, file.path)
        kept = without_allowed(text, (f.line for f in findings), allowed)
        findings = [f for f in findings if f.line in kept]
        added = _added_lines(repo, file) if findings else []
        last = SecretFinding(0, 0, 0, "")
        for finding in findings:
            if not any(finding.line in run for run in added):
                continue
            more_of_it = finding.kind == last.kind == PRIVATE_KEY and finding.line == last.line + 1
            if finding.line != last.line and not more_of_it:
                yield file.path, finding
            last = finding


def _staged(repo: GitRepository) -> list[_Staged]:
    """Files that the commit adds lines to, except generated ones."""
    fields = _git(repo, *_DIFF, "--raw", "-z").split(b"\0")
    found = []
    for meta, raw in zip(fields[0::2], fields[1::2], strict=False):
        _, mode, _, blob, status = meta.decode().split(" ")
        path = os.fsdecode(raw)
        base = path.rpartition("/")[2].lower()
        generated = base in GENERATED_NAMES or base.endswith(".lock")
        if mode not in (SUBMODULE, SYMLINK) and not generated:
            found.append(_Staged(path, blob, status == "A"))
    return found


def _added_lines(repo: GitRepository, file: _Staged) -> list[range]:
    if file.new:
        return [range(1, sys.maxsize)]
    patch = _git(repo, "--literal-pathspecs", *_DIFF, "--unified=0", "--", file.path)
    runs = ((int(m[1]), 1 if m[2] is None else int(m[2])) for m in _HUNK.finditer(patch))
    return [range(first, first + count) for first, count in runs]


def _git(repo: GitRepository, *args: str) -> bytes:
    """Run git with the index of this commit, since ``commit -a`` uses a temporary one.

    :raises GitError: git failed.
    """
    index = {name: os.environ[name] for name in ("GIT_INDEX_FILE",) if name in os.environ}
    code, out, message = repo.try_run(*args, env=index)
    if code != 0:
        raise GitError(f"git diff failed: {message.removeprefix('fatal: ')}")
    return out


if __name__ == "__main__":
    sys.exit(main())
