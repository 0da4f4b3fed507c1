"""An adapter as a commit without a parent: ``refs/copilot/adapters/<id>`` holds what this user
shares, ``refs/copilot/remotes/<remote>/<id>`` what a remote has.

Only plumbing makes it, so that working tree, index and HEAD are never written.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store, provenance
from git_copilot.assistant.sharing.signatures import sign_commit
from git_copilot.index.core.errors import CopilotError, GitError
from git_copilot.index.git.repository import GitRepository

LOCAL, REMOTES = "refs/copilot/adapters/", "refs/copilot/remotes/"
REGULAR = "100644"
# The names that a shared adapter may have; the first three are in every one.
NEEDED = (adapter_store.CONFIG, adapter_store.WEIGHTS, adapter_store.EVIDENCE)
FILES = (*NEEDED, adapter_store.COMMITS, provenance.FILE, adapter_store.PAGE)
# Sizes of a commit and of a tree that are read at all: both are far smaller.
MAX_COMMIT, MAX_TREE = 64 * 1024, 4096
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
_MESSAGE = re.compile(
    r"copilot adapter (?P<id>\S+)\n\n"
    r"Base-Model: (?P<base_model>\S+)\nWeights-SHA256: (?P<sha256>[0-9a-f]{64})\n"
)
REFUSED_HINT = "ask whoever pushed it to push it again"


def is_adapter_id(name: str) -> bool:
    """Whether a name has the form of an adapter's id, with a date that exists."""
    if _ID.fullmatch(name) is None:
        return False
    try:
        time.strptime(name[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class AdapterRef:
    """A ref with an adapter; ``remote`` is ``None`` for what this user shares."""

    id: str
    ref: str
    oid: str
    kind: str
    remote: str | None


@dataclass(frozen=True, slots=True)
class AdapterCommit:
    """What a commit says of its adapter, unchecked. ``signed``: it has a signature, of whomever."""

    id: str
    oid: str
    tree: str
    base_model: str
    sha256: str
    signed: bool


def without_replacements(repo: GitRepository) -> GitRepository:
    """The same repository, read as it is: a signature is that of an object itself, not of what a
    replacement ref puts in its place."""
    exact = {"GIT_NO_REPLACE_OBJECTS": "1"}
    return GitRepository(repo.git_dir, repo.common_dir, repo.root, exact)


def list_refs(repo: GitRepository, prefix: str, remote: str | None = None) -> list[AdapterRef]:
    """The refs below ``prefix``, oldest adapter first, whatever they are called."""
    layout = "--format=%(refname) %(objectname) %(objecttype)"
    found = []
    for line in os.fsdecode(repo.run("for-each-ref", layout, prefix)).splitlines():
        ref, oid, kind = line.rsplit(" ", 2)
        found.append(AdapterRef(ref.removeprefix(prefix), ref, oid, kind, remote))
    return found


def local_refs(repo: GitRepository) -> list[AdapterRef]:
    """What this user shares."""
    return list_refs(repo, LOCAL)


def remote_refs(repo: GitRepository, remote: str) -> list[AdapterRef]:
    """What a remote had when it was last asked."""
    return list_refs(repo, f"{REMOTES}{remote}/", remote)


def all_remote_refs(repo: GitRepository) -> list[AdapterRef]:
    """What all remotes had; refs that are not called like an adapter are left out."""
    found = []
    for each in list_refs(repo, REMOTES):
        remote, _, adapter = each.id.rpartition("/")
        if remote and is_adapter_id(adapter):
            found.append(AdapterRef(adapter, each.ref, each.oid, each.kind, remote))
    return found


def read_commit(repo: GitRepository, found: AdapterRef) -> AdapterCommit:
    """What the commit of a ref says.

    :raises CopilotError: it is not an adapter's, or is another adapter's.
    """
    if not is_adapter_id(found.id):
        raise CopilotError(
            f"{found.ref} is refused: {found.id!r} is not an adapter's id", REFUSED_HINT
        )
    if found.kind != "commit":
        raise _refused(found.id, f"its ref is a {found.kind}, not a commit")
    if repo.blob_sizes([found.oid]).get(found.oid, MAX_COMMIT + 1) > MAX_COMMIT:
        raise _refused(found.id, "its commit is missing or too large")
    raw = repo.reader().run("cat-file", "commit", found.oid)
    head, _, body = raw.partition(b"\n\n")
    headers = [line.partition(b" ") for line in head.split(b"\n")]
    names = [name for name, _, _ in headers if name]  # a continued line begins with a blank
    message = _MESSAGE.fullmatch(body.decode("utf-8", "replace"))
    if message is None or names[0] != b"tree":
        raise _refused(found.id, "its commit was not made by git-copilot")
    if b"parent" in names:
        raise _refused(found.id, "its commit has a parent")
    if message["id"] != found.id:
        raise _refused(found.id, f"its commit is that of {message['id']}")
    return AdapterCommit(
        id=found.id,
        oid=found.oid,
        tree=headers[0][2].decode(),
        base_model=message["base_model"],
        sha256=message["sha256"],
        signed=any(name.startswith(b"gpgsig") for name in names),
    )


def _refused(adapter: str, why: str) -> CopilotError:
    return CopilotError(f"the adapter {adapter} is refused: {why}", REFUSED_HINT)


def commit_adapter(
    repo: GitRepository, folder: Path, base_model: str, *, sign: bool
) -> AdapterCommit:
    """The commit of the adapter in ``folder``, whose files were checked; its ref is set to it. A
    commit that is known, here or at a remote, is taken where it says the same.

    :param sign: it must be signed.
    :raises CopilotError: a file cannot be read, or git cannot write or sign the commit.
    """
    adapter = folder.name
    tree = _write_tree(repo, folder)
    sha256 = file_sha256(folder / adapter_store.WEIGHTS)
    known = [each for each in (*local_refs(repo), *all_remote_refs(repo)) if each.id == adapter]
    for each in known:
        try:
            found = read_commit(repo, each)
        except CopilotError:
            continue
        same = (found.tree, found.base_model, found.sha256) == (tree, base_model, sha256)
        if same and (found.signed or not sign):
            break
    else:
        text = f"copilot adapter {adapter}\n\nBase-Model: {base_model}\nWeights-SHA256: {sha256}\n"
        oid = _write_commit(repo, tree, text.encode(), sign=sign)
        found = AdapterCommit(adapter, oid, tree, base_model, sha256, sign)
    repo.run("update-ref", f"{LOCAL}{adapter}", found.oid)
    return found


def file_sha256(path: Path) -> str:
    """:raises CopilotError: the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise CopilotError(
            f"{path} cannot be read ({exc.strerror})", adapter_store.DAMAGED_HINT
        ) from exc


def blob_ids(repo: GitRepository, folder: Path, *, write: bool = False) -> Mapping[str, str]:
    """The object id of each file of an adapter that is shared, by name.

    :param write: put them into the object database.
    :raises GitError: a file cannot be read, or not be written.
    """
    names = [name for name in FILES if (folder / name).is_file()]
    options = ("-w", "--no-filters") if write else ("--no-filters",)
    paths = [str(folder / name) for name in names]
    ids = repo.run("hash-object", *options, "--", *paths).decode().split()
    return dict(zip(names, ids, strict=True))


def _write_tree(repo: GitRepository, folder: Path) -> str:
    links = [name for name in FILES if (folder / name).is_symlink()]
    if links:
        raise CopilotError(f"{folder / links[0]} is a link", "replace it with the file itself")
    rows = [f"{REGULAR} blob {oid}\t{n}\0" for n, oid in blob_ids(repo, folder, write=True).items()]
    return repo.run("mktree", "-z", stdin="".join(rows).encode()).decode().strip()


def _write_commit(repo: GitRepository, tree: str, message: bytes, *, sign: bool) -> str:
    if sign:
        return sign_commit(repo, tree, message)
    code, out, reason = repo.try_run("commit-tree", tree, stdin=message)
    if code:
        raise GitError(
            f"the adapter cannot be committed ({reason.removeprefix('fatal: ')})",
            "check user.name and user.email in git's configuration",
        )
    return out.decode().strip()


def drop_local_ref(repo: GitRepository, adapter: str) -> None:
    """Delete this user's ref of an adapter, if there is one; what remotes have stays."""
    repo.run("update-ref", "-d", f"{LOCAL}{adapter}")


def drop_all_refs(repo: GitRepository) -> int:
    """Delete every ref of ours, also those that say what remotes have; return how many. What a
    remote has stays there."""
    refs = list_refs(repo, "refs/copilot/")
    feed = "".join(f"delete {found.ref}\0{found.oid}\0" for found in refs)
    if refs:
        repo.run("update-ref", "--stdin", "-z", stdin=os.fsencode(feed))
    return len(refs)


def shared_with(repo: GitRepository, adapter: str) -> list[str]:
    """The remotes that had this adapter when they were last asked."""
    found = all_remote_refs(repo)
    return sorted(each.remote for each in found if each.id == adapter and each.remote)
