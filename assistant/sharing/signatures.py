"""Signatures of adapters' commits: git makes and verifies them, with the user's configuration."""

from __future__ import annotations

from collections.abc import Sequence

from git_copilot.index.core.errors import CopilotError, GitError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.user_config import command_line_config
from git_copilot.index.git.users_git import run_users_git

GOOD = "GU"  # letters of %G?: a good signature, and a good one of unknown validity
UNSIGNED, UNVERIFIED = "unsigned", "not verified"


def wants_signature(repo: GitRepository) -> bool:
    """Whether the user has git sign all his commits."""
    command = ("config", "--type=bool", "--get", "commit.gpgSign")
    _, out, _ = repo.try_run(*command, env=command_line_config())
    return out.strip() == b"true"


def sign_commit(repo: GitRepository, tree: str, message: bytes) -> str:
    """Write a signed commit without a parent.

    :return: its id.
    :raises GitError: git has no key, or cannot use it.
    """
    done = run_users_git(repo, "commit-tree", "-S", tree, stdin=message)
    if done.code:
        raise GitError(
            f"the adapter cannot be signed ({done.reason()})",
            "check user.signingKey and gpg.format in git's configuration",
        )
    return done.out.decode().strip()


def require_signature(repo: GitRepository, adapter: str, oid: str, *, signed: bool) -> None:
    """Check a commit's signature with `git verify-commit`.

    :param signed: the commit has a signature.
    :raises CopilotError: it has none, or git does not accept it.
    """
    if not signed:
        raise CopilotError(
            f"the adapter {adapter} is refused: it is not signed",
            "have it pushed with --sign, or accept unsigned ones with "
            "`git config copilot.adapterTrust any`",
        )
    done = run_users_git(repo, "verify-commit", oid)
    if done.code:
        # The verdict is the last line; those before it tell what was found.
        told = [line for line in done.lines if line.strip()]
        why = told[-1].removeprefix("error: ") if told else f"exit code {done.code}"
        raise CopilotError(
            f"the adapter {adapter} is refused: git does not accept its signature ({why})",
            "add the signer's key to gpg.ssh.allowedSignersFile, or to gpg's keys",
        )


def signers(repo: GitRepository, oids: Sequence[str]) -> dict[str, str]:
    """Who signed each commit: a name, :data:`UNSIGNED` or :data:`UNVERIFIED`."""
    if not oids:
        return {}
    layout = "--format=tformat:%H%x00%G?%x00%GS"
    command = ("log", "--no-show-signature", "--no-walk=unsorted", layout, "--stdin")
    feed = "".join(f"{oid}\n" for oid in oids).encode()
    done = run_users_git(repo, *command, stdin=feed)
    found = dict.fromkeys(oids, UNVERIFIED)
    for line in done.out.decode("utf-8", "replace").splitlines():
        oid, _, rest = line.partition("\0")
        letter, _, name = rest.partition("\0")
        if oid in found and letter:
            known = (name or UNVERIFIED) if letter in GOOD else UNVERIFIED
            found[oid] = UNSIGNED if letter == "N" else known
    return found
