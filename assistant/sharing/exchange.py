"""Sends adapters to a remote of the repository, and asks what a remote has."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.record import AdapterRecord
from git_copilot.assistant.sharing.adapter_commits import (
    LOCAL,
    REMOTES,
    AdapterCommit,
    AdapterRef,
    commit_adapter,
    read_commit,
    remote_refs,
    without_replacements,
)
from git_copilot.assistant.sharing.checks import check_evidence, check_folder, tree_files
from git_copilot.assistant.sharing.signatures import UNSIGNED, signers, wants_signature
from git_copilot.index.core.errors import CopilotError, GitError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.users_git import run_users_git

_REMOTE_HINT = "check the address with `git remote -v`, and the connection"


@dataclass(frozen=True, slots=True)
class Described:
    """An adapter's commit as it stands, not checked in full. ``problem`` says why it cannot be
    read; ``signer`` is a name, or says that there is no signature or none that git accepts."""

    record: AdapterRecord
    signer: str
    installed: bool
    problem: str | None


def choose_remote(repo: GitRepository, given: str | None) -> str:
    """The remote that is meant: the named one, else the upstream of the current branch, else
    `origin`, else the only one.

    :raises CopilotError: there is none, or it is not clear which.
    """
    known = os.fsdecode(repo.run("remote")).splitlines()
    if given is not None:
        if given not in known:
            raise CopilotError(
                f"there is no remote {given!r}",
                "`git remote` lists them, `git remote add` adds one",
            )
        return given
    upstream = _upstream(repo)
    for name in (upstream, "origin"):
        if name in known:
            return str(name)
    if len(known) == 1:
        return known[0]
    if not known:
        raise CopilotError(
            "this repository has no remote", "add one with `git remote add origin URL`"
        )
    raise CopilotError(
        f"this repository has several remotes ({', '.join(known[:5])})", "name one of them"
    )


def _upstream(repo: GitRepository) -> str | None:
    code, out, _ = repo.try_run("symbolic-ref", "--quiet", "--short", "HEAD")
    if code:  # a detached HEAD
        return None
    branch = os.fsdecode(out).strip()
    _, out, _ = repo.try_run("config", "--get", f"branch.{branch}.remote")
    return os.fsdecode(out).strip() or None


def push_adapter(
    repo: GitRepository, remote: str, adapter: str | None, *, sign: bool
) -> AdapterCommit:
    """Send an adapter, or the one in use, to a remote. The user's own hooks run.

    :param sign: sign it even where `commit.gpgSign` does not say so.
    :raises CopilotError: it is damaged, cannot be signed, or the remote does not accept it.
    """
    state = repo.state_dir
    chosen = adapter or adapter_store.current_adapter(state)
    if chosen is None:
        raise CopilotError(
            "no adapter is in use", "name one with --id; `git copilot adapter list` shows them"
        )
    folder = adapter_store.adapter_path(state, chosen)
    base_model = check_folder(folder, chosen)
    found = commit_adapter(repo, folder, base_model, sign=sign or wants_signature(repo))
    ref = f"{LOCAL}{chosen}"
    options = ["--porcelain", "--no-follow-tags", "--recurse-submodules=no"]
    lease = _lease(repo, remote, found)
    done = run_users_git(repo, "push", *options, *lease, "--", remote, f"{ref}:{ref}")
    if done.code:
        rejected = [line for line in os.fsdecode(done.out).splitlines() if line.startswith("!\t")]
        why = rejected[0].rpartition("\t")[2] if rejected else done.reason()
        if "fetch first" in why or "non-fast-forward" in why or "already exists" in why:
            raise GitError(
                f"{remote} has another version of {chosen}",
                "an adapter that was shared stays as it is; `git copilot adapter fetch` shows it",
            )
        raise GitError(
            f"{chosen} cannot be pushed to {remote} ({why})",
            f"`git push {remote} {ref}` shows all that is told",
        )
    repo.run("update-ref", f"{REMOTES}{remote}/{chosen}", found.oid)
    return found


def _lease(repo: GitRepository, remote: str, found: AdapterCommit) -> list[str]:
    """Lets a push replace the remote's commit by one with the same files, such as a signed one."""
    known = {each.id: each for each in remote_refs(repo, remote)}.get(found.id)
    if known is None or known.oid == found.oid:
        return []
    try:
        same = read_commit(repo, known).tree == found.tree
    except CopilotError:
        return []
    return [f"--force-with-lease={LOCAL}{found.id}:{known.oid}"] if same else []


def fetch_adapters(repo: GitRepository, remote: str) -> list[AdapterRef]:
    """Fetch all adapters of a remote; those that it has no longer are dropped from what is known.

    :return: their refs, whatever they are called.
    :raises GitError: the remote cannot be reached.
    """
    refspec = f"+{LOCAL}*:{REMOTES}{remote}/*"
    # Of a partial clone, too, all files are wanted; and no other ref is to change with this.
    options = ("--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc",
               "--no-filter", "--prune", "--refmap=", "--quiet")  # fmt: skip
    done = run_users_git(repo, "fetch", *options, "--", remote, refspec)
    if done.code:
        raise GitError(f"nothing can be fetched from {remote} ({done.reason()})", _REMOTE_HINT)
    return remote_refs(repo, remote)


def describe(repo: GitRepository, refs: list[AdapterRef]) -> list[Described]:
    """What each ref holds, without a check of signatures or weights."""
    repo = without_replacements(repo)
    here = set(adapter_store.ids(repo.state_dir))
    current = adapter_store.current_adapter(repo.state_dir)
    readable: dict[str, tuple[AdapterCommit, AdapterRecord]] = {}
    problems: dict[str, str] = {}
    for each in refs:
        try:
            commit = read_commit(repo, each)
            evidence = read_evidence(repo, commit)
            record = AdapterRecord.of(each.id, evidence, current=each.id == current)
            readable[each.ref] = (commit, record)
        except CopilotError as exc:
            problems[each.ref] = exc.message
    signed = [commit.oid for commit, _ in readable.values() if commit.signed]
    names = signers(repo, signed)
    rows = []
    for each in refs:
        if each.ref in readable:
            commit, record = readable[each.ref]
            signer = names.get(commit.oid, UNSIGNED)
        else:
            record = AdapterRecord(each.id, False, None, "", None, None, None)
            signer = UNSIGNED
        rows.append(Described(record, signer, each.id in here, problems.get(each.ref)))
    return rows


def read_evidence(repo: GitRepository, commit: AdapterCommit) -> dict[str, object]:
    """The report in an adapter's commit.

    :raises CopilotError: the commit's files are not those of an adapter, or the report is invalid.
    """
    files = tree_files(repo, commit)
    data = repo.reader().read_blob(files[adapter_store.EVIDENCE])
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise CopilotError(
            f"the adapter {commit.id} is refused: its report cannot be read"
        ) from exc
    if not isinstance(found, dict):
        raise CopilotError(f"the adapter {commit.id} is refused: its report is not an object")
    check_evidence(found, commit.id)
    return found
